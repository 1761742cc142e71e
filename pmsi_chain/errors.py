"""Everything that can go wrong, split by who must act.

    PmsiChainError
    ├── InputError                  the caller gives something else
    │   ├── ReportError             empty, binary, unreadable or too long report
    │   ├── CodeError               a code that cannot be used (`.nearest` holds legal neighbours)
    │   │   ├── NotationError       not written as a code of this nomenclature
    │   │   ├── UnknownCodeError    well written, absent from the edition
    │   │   └── ForbiddenCodeError  exists, not allowed here (parent, deleted, position)
    │   ├── EditionError            unknown edition, or no edition in force on that date
    │   └── SourceFileError         a nomenclature or data file that cannot be read as one
    ├── ConfigurationError          whoever set the installation up changes a setting or a package
    │   └── IndexMismatchError      an index made by or for something else; the message says what mends it
    ├── ServiceError                an outside service (Qdrant, LLM endpoint) failed; try again, or look there
    └── ModelOutputError            an LLM's answer could not be used; never reaches users of `CodingChain`

Messages say what was given, what was expected and what to do. They never hold a word of a report:
a report is named by its length or its origin, never quoted. A *wrong coding* is no exception, it is a
returned `Finding`.
"""

from __future__ import annotations


class PmsiChainError(Exception):
    """Root of the tree; `except PmsiChainError` catches all that the package raises on purpose."""


class InputError(PmsiChainError):
    """The caller must give something else."""


class ReportError(InputError):
    """The report is empty, binary, unreadable or over the size limit."""


class CodeError(InputError):
    """A code that cannot be used.

    Attributes:
        code: the code as understood, in ATIH's form when it could be parsed.
        nearest: up to five legal codes, stored form, closest first; may be empty.
        reason: why, one word: "notation", "unknown", "composition" (chapter XX), "parent", "deleted", "position",
            "expired" (an act outside its dates).
    """

    def __init__(self, message: str, *, code: str = "", nearest: tuple[str, ...] = (), reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.nearest = nearest
        self.reason = reason


class NotationError(CodeError):
    """Not written as a code of this nomenclature."""


class UnknownCodeError(CodeError):
    """Well written, but absent from the edition."""


class ForbiddenCodeError(CodeError):
    """Exists in the edition but is not allowed here (parent, deleted, or this position)."""


class EditionError(InputError):
    """The edition is not installed, or none is in force on that date."""


class SourceFileError(InputError):
    """A nomenclature or data file cannot be read as what it should be."""


class ConfigurationError(PmsiChainError):
    """Whoever set the installation up must change a setting or install a package."""


class IndexMismatchError(ConfigurationError):
    """The index was made by or for something else; the message holds the command that mends it."""


class ServiceError(PmsiChainError):
    """An outside service failed."""


class ModelOutputError(PmsiChainError):
    """An LLM's answer could not be used."""
