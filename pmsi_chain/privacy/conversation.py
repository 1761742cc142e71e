"""A conversation pseudonymised as one text, so that a person has one surrogate in all its messages, and the way back.

Pure but for the key, drawn when the part is made: it keeps the shift of dates the same from call to call.
"""

from __future__ import annotations

import hmac
import random
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pmsi_chain.privacy.pseudonymiser import Pseudonymised, Pseudonymiser

_BETWEEN = "\n\n"
_SURROGATE = re.compile(r"\[(?:EMAIL|NIR|TEL|ID|ADRESSE|NOM|DATE)_\d+\]")


@dataclass(frozen=True)
class HiddenTexts:
    """Texts as a model may read them.

    Attributes:
        texts: in the order given.
        view: of all of them, joined.
    """

    texts: tuple[str, ...]
    view: Pseudonymised

    @cached_property
    def _wordings(self) -> dict[str, str]:
        """Surrogate → what it stands for, as first written."""
        known: dict[str, str] = {}
        for r in self.view.replacements:
            known.setdefault(r.surrogate, self.view.original[r.start : r.end])
        for word, surrogate in self.view.names:
            known.setdefault(surrogate, word)
        return known

    def restore(self, text: str) -> str:
        """A model's sentence with the names, numbers and dates of the original."""
        named = _SURROGATE.sub(lambda match: self._wordings.get(match.group(), match.group()), text)
        return self.view.restore_dates(named)


class ConversationPseudonymiser:
    """Messages → pseudonymised messages; the same conversation is always moved by the same number of days."""

    def __init__(self, key: bytes | None = None) -> None:
        """`key` draws the shifts; None: a random one."""
        self._key = key or secrets.token_bytes(32)

    def __call__(self, texts: Sequence[str]) -> HiddenTexts:
        """Hide what identifies someone in any of the texts, everywhere it stands in them."""
        first = next((text for text in texts if text.strip()), "")
        seed = hmac.digest(self._key, first.encode("utf-8", "surrogatepass"), "sha256")
        view = Pseudonymiser(random.Random(seed))(_BETWEEN.join(texts))  # noqa: S311  # seeded by a secret
        hidden: list[str] = []
        start = 0
        for text in texts:
            first_at, last_at = view.to_pseudonymised(start, start + len(text)) if text else (0, 0)
            hidden.append(view.text[first_at:last_at])
            start += len(text) + len(_BETWEEN)
        return HiddenTexts(tuple(hidden), view)


def strings_of(value: Any) -> list[str]:
    """The strings in a value of JSON, in order; keys stay out."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings_of(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in strings_of(item)]
    return []


def with_strings(value: Any, change: Callable[[str], str]) -> Any:
    """A value of JSON with every string changed, in the order of `strings_of`."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: with_strings(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [with_strings(item, change) for item in value]
    return value
