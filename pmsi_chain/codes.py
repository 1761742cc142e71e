"""Codes as types: what a person writes goes in, ATIH's stored form and printed form come out.

Stored form (`.code`): what column 1 of ATIH's kit holds, without padding: one letter, two digits, then up to three
characters, digits or the filler `+` (« Kit de nomenclature CIM 10 », ATIH, p. 4: character 4 a digit, a space or `+`;
character 5 likewise; character 6 a digit or a space). The `+` is part of the code. Printed form (`.display`): a dot
after the third character, as in ATIH's CMA list: `C22.1`, `C16.9+0`, `F03.+00`.

Pure: imports neither LangChain nor Qdrant nor a model; the default edition is opened only when a code is parsed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pmsi_chain.domain import Position
from pmsi_chain.errors import NotationError

if TYPE_CHECKING:
    from datetime import date

    from pmsi_chain.nomenclature import CcamEdition, Cim10Edition

CIM10_STORED = re.compile(r"[A-Z][0-9]{2}(?:[0-9]{0,3}|\+[0-9]{1,2}|[0-9]\+[0-9])")
CCAM_STORED = re.compile(r"[A-Z]{4}[0-9]{3}")
MAX_WRITTEN = 32  # characters; longer text is no code and is refused unread

_HYPHENS = str.maketrans(dict.fromkeys("‐‑‒–—―−", "-") | {"·": ".", ",": "."})
_DAGGERS = "†‡✝"
_LOOKALIKES = {"O": "0", "I": "1", "L": "1", "S": "5", "B": "8", "Z": "2"}
#: prefix, hyphen holding one character, extension written last, then the held character (`M62.8-01`, `O04.-0.9`)
_HELD = re.compile(r"([A-Z][0-9]{2}[0-9]?)-([0-9])([0-9]?)")
_CCAM_WRITTEN = re.compile(r"([A-Z]{4}[0-9]{3})(?:-?([0-9]{2}))?")


@dataclass(frozen=True, order=True, slots=True)
class Cim10Code:
    """A CIM-10 FR code in ATIH's stored form; equality, order and hash are those of `code`.

    Build one with `parse`: the constructor only assigns.
    """

    code: str

    @property
    def display(self) -> str:
        """The printed form: a dot after the third character (`C22.1`, `B24.+9`), none for a category (`C22`)."""
        return cim10_display(self.code)

    @property
    def category(self) -> str:
        """The three-character category."""
        return self.code[:3]

    def __str__(self) -> str:
        return self.display

    @classmethod
    def parse(cls, text: str, edition: Cim10Edition | None = None, position: Position | None = None) -> Cim10Code:
        """The code that `text` writes, checked against an edition.

        Accepts any case, a dot or none, spaces, `+` fillers, dagger and asterisk marks, a trailing `-` or `.-` (the
        category or sub-category is meant), and the hyphened extensions of the printed book, where the hyphen holds
        the place of a character: `C16.9-0` has one completion and is `C169+0`; `S37.8-0` has two (`S37800`,
        `S37810`) and is refused with both as `nearest`; `M62.8-01` gives the held character last and is `M62810`.

        Args:
            text: what a person wrote.
            edition: the edition it must exist in; the newest one available when None.
            position: when given, the type MCO must allow the code there; without it a parent or a deleted code is
                accepted, because it exists.

        Raises:
            NotationError: not the notation of a CIM-10 code, or a hyphened extension with several completions.
            UnknownCodeError: well written but not in the edition.
            ForbiddenCodeError: parent only, deleted, or not allowed in `position`.
        """
        if edition is None:
            from pmsi_chain.nomenclature import load_cim10

            edition = load_cim10()
        code = _cim10_stored(text, edition)
        if position is None:
            edition.entry(code)
        else:
            edition.require(code, position)
        return cls(code)


@dataclass(frozen=True, order=True, slots=True)
class CcamCode:
    """A CCAM act code: four letters (topography ×2, action, access) and three digits.

    Attributes:
        code: the seven characters (`HHFA016`).
        extension: the PMSI extension when one was written (`HHFA016-01` → "01"), else "".
    """

    code: str
    extension: str = ""

    @property
    def display(self) -> str:
        """The printed form: the code, then `-01` where an extension was written."""
        return f"{self.code}-{self.extension}" if self.extension else self.code

    def __str__(self) -> str:
        return self.display

    @classmethod
    def parse(cls, text: str, edition: CcamEdition | None = None, on: date | None = None) -> CcamCode:
        """The act that `text` writes: any case, spaces, dots, with or without a PMSI extension (`-01`).

        Args:
            text: what a person wrote.
            edition: the edition it must exist in; the newest one when None. The embedded starter holds a part of
                the CCAM only: where it is all there is, the notation is checked and nothing more.
            on: when given, the act must be valid on that day.

        Raises:
            NotationError: not four letters and three digits.
            UnknownCodeError: not in the edition.
            ForbiddenCodeError: not valid on that day.
        """
        is_checked = edition is not None
        if edition is None:
            from pmsi_chain.nomenclature import load_ccam

            edition = load_ccam()
            is_checked = edition.complete
        written = _squeezed(text, what="CCAM").replace(".", "")
        match = _CCAM_WRITTEN.fullmatch(written)
        if match is None:
            raise NotationError(
                f"{_quoted(text)} n'est pas un code CCAM : attendu quatre lettres et trois chiffres (HHFA016), "
                "avec au besoin l'extension PMSI (HHFA016-01)",
                nearest=_ccam_guess(written, edition),
                reason="notation",
            )
        if is_checked:
            edition.require(match[1], on=on)
        return cls(match[1], match[2] or "")


def cim10_display(code: str) -> str:
    """The printed form of a stored CIM-10 code."""
    return code if len(code) <= 3 else f"{code[:3]}.{code[3:]}"


def cim10_notation(text: str) -> str:
    """The stored form that `text` writes when its notation alone decides it; no edition is opened.

    Raises:
        NotationError: not a CIM-10 notation, or a hyphen whose character must be chosen in an edition.
    """
    return _cim10_stored(text, None)


def _cim10_stored(text: str, edition: Cim10Edition | None) -> str:
    written = _without_marks(_squeezed(text, what="CIM-10"))
    plain = written[:3] + written[3:].removeprefix(".")
    if "." not in plain and CIM10_STORED.fullmatch(plain):
        return plain
    held = _HELD.fullmatch(written.replace(".", ""))
    if held and written.count(".") <= 2:
        return _with_held_character(text, held, edition)
    raise NotationError(
        f"{_quoted(text)} n'est pas une notation CIM-10 : attendu une lettre, deux chiffres, puis au plus trois "
        "caractères, chiffres ou « + » (C22.1, C221, B24+9)",
        nearest=_cim10_guess(plain, edition),
        reason="notation",
    )


def _with_held_character(text: str, held: re.Match[str], edition: Cim10Edition | None) -> str:
    prefix, extension, character = held.groups()
    if character:
        return prefix + character + extension
    completions: tuple[str, ...] = ()
    if edition is not None:
        pattern = re.compile(re.escape(prefix) + "[0-9+]" + extension)
        completions = tuple(code for code in edition.descendants(prefix) if pattern.fullmatch(code))
    if len(completions) == 1:
        return completions[0]
    meant = ", ".join(cim10_display(code) for code in completions[:5])
    raise NotationError(
        f"{_quoted(text)} : le tiret tient la place d'un caractère à choisir"
        + (f" ; codes possibles : {meant}" if meant else ", et aucun code ne le complète"),
        code=prefix,
        nearest=completions[:5] or _cim10_guess(prefix, edition),
        reason="notation",
    )


def _squeezed(text: str, what: str) -> str:
    """Upper case, plain hyphens and dots, no spaces; refuses what is not a short text."""
    if not isinstance(text, str) or len(text) > MAX_WRITTEN:
        raise NotationError(
            f"un code {what} s'écrit en {MAX_WRITTEN} caractères au plus ; reçu "
            + (f"un texte de {len(text)} caractères" if isinstance(text, str) else f"un {type(text).__name__}"),
            reason="notation",
        )
    normal = unicodedata.normalize("NFKC", text.translate(_HYPHENS)).translate(_HYPHENS)
    return "".join(char for char in normal if not char.isspace() and char.isprintable()).upper()


def _without_marks(written: str) -> str:
    """Without dagger, asterisk, a `+` that stands for a dagger, and a trailing `-` or `.-`."""
    bare = written.rstrip(_DAGGERS + "*+.")
    return bare.rstrip("-").rstrip(".+") if bare.endswith("-") else bare


def _cim10_guess(plain: str, edition: Cim10Edition | None) -> tuple[str, ...]:
    """Legal codes near a text that is no notation: letters typed for digits are read as digits first."""
    if edition is None:
        return ()
    letters = [char for char in plain if char.isascii() and (char.isalnum() or char == "+")][:7]
    if not letters:
        return ()
    head = {digit: letter for letter, digit in _LOOKALIKES.items() if letter != "L"}.get(letters[0], letters[0])
    guess = head + "".join(_LOOKALIKES.get(char, char) for char in letters[1:])
    near = edition.nearest(guess)
    return (guess, *near[:4]) if edition.is_allowed(guess, "das") else near


def _ccam_guess(written: str, edition: CcamEdition) -> tuple[str, ...]:
    if not written:
        return ()
    letters = {digit: letter for letter, digit in _LOOKALIKES.items() if letter != "L"}
    guess = "".join(letters.get(char, char) for char in written[:4])
    guess += "".join(_LOOKALIKES.get(char, char) for char in written[4:7])
    near = edition.nearest(guess)
    return (guess, *near[:4]) if guess in edition else near


def _quoted(text: str) -> str:
    """The text as given, when it is short enough to be a code: a longer one may be clinical and is not shown."""
    is_code_like = len(text) <= 12 and text.isprintable() and any(char.isdigit() for char in text)
    return f"« {text.strip()} »" if is_code_like else f"un texte de {len(text)} caractères"
