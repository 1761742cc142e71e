"""Report → sentences: prose, hard-wrapped lines, bullets and table rows; and sentences addressed to a machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pmsi_chain.reading.report import Section, Sentence
from pmsi_chain.text import fold

#: A longer run without a full stop (a table without line breaks, noise) is cut, so that reading stays linear.
MAX_SENTENCE_CHARS = 1200

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_BULLET = re.compile(r"[ \t]*(?:[-–—•◦▪·*+>→]+[ \t]+|\d{1,2}[.)][ \t]+|[a-h]\)[ \t]+|\||-[A-Za-zÀ-ÿ])")
_STOP = re.compile(r"[.!?…]+[\"»)\]*_]*(?=\s|$)")
_ABBREVIATION = re.compile(
    r"(?:^|[^A-Za-zÀ-ÿ0-9/])(?:MM?|Mme|Mlle|Mrs?|Drs?|Prs?|Pr|Me|St|Ste|cf|env|ex|p|pp|n|no|art|chap|fig|tel|tél|etc|"
    r"av|apr|vs|ca|c\.-?à-?d|hab|sd|inj|cp|cpr|gél|amp|max|min|moy|resp|ant|post|lat|sup|inf|dt|gche?|"
    r"[A-ZÀ-Ý])$"
)
_NEXT_IS_LOWER = re.compile(r"\s+[a-zà-ÿ]")

#: What turns a verb into an order: the start of the sentence, or a word that asks.
_ORDER = r"(?:^|[:;!?.>\]\"*(,-]\s*|\b(?:veuillez|merci d['e]|please|must|dois|devez|il faut|doit|et)\s*)"
_INSTRUCTIONS = re.compile(
    r"(?:"
    + _ORDER
    + r"(?:ignor(?:e|ez|er)|oubli(?:e|ez|er)|disregard|forget|bypass|contourn(?:e|ez|er)|neglig(?:e|ez|er)|"
    r"ne (?:tiens|tenez|tenir) (?:pas|aucun) compte|ne (?:respecte|suis|suivez)z? pas)\b.{0,60}"
    r"\b(?:instruction|consigne|directive|regle|rule|prompt|precedent|previous|ci-dessus|above)\w*"
    r"|\b(?:tu es|you are|act as|agis comme|agissez comme|comporte-toi|vous etes)\b.{0,30}"
    r"\b(?:assistant|ia|modele|model|robot|codeur|ai|agent|chatbot)\b"
    r"|\b(?:en tant qu['e]|as an?)\s*(?:ia|ai|modele|model|assistant de codage|language)\b"
    r"|\b(?:a l'attention|destinee?|message|note|instructions?)\b.{0,20}\b(?:de |a |pour |au |du )(?:l'|la |le )?"
    r"(?:ia\b|llm\b|modele\b|systeme de codage|logiciel de codage|assistant de codage|algorithme|codeur automatique|"
    r"intelligence artificielle)"
    r"|^\W*system(?:\s*prompt)?\s*[:>\]]\s*\w|\bprompt\s*:"
    r"|<\|?/?(?:im_start|im_end|system|assistant|user|inst)\|?>|\[/?inst\]|\[system\]"
    r"|" + _ORDER + r"(?:repond(?:s|ez|re)|respond|answer|output|return|renvo(?:ie|yez|yer)|retourne[rz]?)\b.{0,40}"
    r"\b(?:json|le code|the code|uniquement (?:le|par|avec)|only)\b"
    r"|" + _ORDER + r"(?:cod(?:e|ez|er|ifie|ifiez|ifier))\b.{0,60}\b[a-z]\d{2}(?:\.?\d{1,3}|\+\d{1,2})?\b"
    r"|"
    + _ORDER
    + r"(?:attribu(?:e|ez|er)|ajout(?:e|ez|er)|met(?:s|tez|tre)|utilis(?:e|ez|er)|choisi(?:s|ssez|r)|propos(?:e|ez|er)|"
    r"selectionne[rz]?|assign|add|use|report(?:e|ez|er)|forc(?:e|ez|er)|reten(?:ez|ir)|retiens|inscri(?:s|vez|re))\b"
    r".{0,40}\b(?:code|diagnostic principal|dp|das|dr)\b.{0,30}\b[a-z]\d{2}(?:\.?\d{1,3}|\+\d{1,2})?\b"
    r")",
    re.DOTALL,
)


def find_sentences(text: str, sections: tuple[Section, ...]) -> tuple[Sentence, ...]:
    """Cut every section's body; headings belong to no sentence."""
    out: list[Sentence] = []
    for section in sections:
        for start, end in _blocks(text, section.body, section.end):
            for first, last in _cut(text, start, end):
                out.append(Sentence(first, last, section.name))
    return tuple(out)


def find_instructions(text: str, sentences: tuple[Sentence, ...]) -> tuple[tuple[int, int], ...]:
    """Spans of the sentences that speak to a machine instead of about a patient.

    A report is data: such a sentence is flagged and read no further.
    """
    return tuple((s.start, s.end) for s in sentences if _INSTRUCTIONS.search(fold(text[s.start : s.end])))


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Paragraphs: runs of lines that one sentence may cross (hard wrap), bullets and table rows apart."""
    block_start: int | None = None
    block_end = start
    position = start
    while position < end:
        match = _LINE.match(text, position, end)
        assert match is not None  # noqa: S101 - the pattern matches the empty string
        line_start, line_end = position, match.end()
        if line_end == line_start:
            break
        content = text[line_start:line_end].rstrip()
        content_end = line_start + len(content)
        position = line_end
        if not content.strip(" \t-=_*#|"):
            if block_start is not None:
                yield block_start, block_end
                block_start = None
            continue
        if block_start is not None and not _continues(text, block_start, block_end, content):
            yield block_start, block_end
            block_start = None
        if block_start is None:
            block_start = line_start
        block_end = content_end
    if block_start is not None:
        yield block_start, block_end


def _continues(text: str, block_start: int, block_end: int, line: str) -> bool:
    """Does this line go on with the sentence of the line before?"""
    if _BULLET.match(line):
        return False
    last_line = text[max(block_start, block_end - 160) : block_end]
    last_line = last_line[last_line.rfind("\n") + 1 :]
    if last_line.endswith((".", "!", "?", ":", ";", "|", "**", "…")) or "|" in last_line[-3:]:
        return False
    first = line.lstrip()[:1]
    if first.islower() or first in "(":
        return True
    # Upper-case typing hides where a sentence starts: a full line then goes on.
    return line.isupper() and last_line.isupper() and len(last_line) >= 60


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Sentences of a paragraph, blanks trimmed."""
    first = start
    for match in _STOP.finditer(text, start, end):
        if _is_abbreviation(text, first, match):
            continue
        yield from _trimmed(text, first, match.end())
        first = match.end()
    yield from _trimmed(text, first, end)


def _is_abbreviation(text: str, first: int, stop: re.Match[str]) -> bool:
    if stop.group()[0] != ".":
        return False
    before = text[max(first, stop.start() - 12) : stop.start()]
    if _ABBREVIATION.search(before):
        # « … vitamine D. » ends a sentence when a capital follows and a word precedes; « reçu M. Durand » does not.
        lone = re.search(r"[a-zà-ÿ]{3,}[ ][A-LN-ZÀ-Ý]$|(?:prot[ée]ine|clonale?|pic|stade|classe) M$", before)
        return not (lone and re.match(r"\s+[A-ZÀ-Ý][a-zà-ÿ]", text[stop.end() : stop.end() + 6]))
    if re.search(r"(?:^|\s)\d{1,2}$", before) and first + len(before.strip()) >= stop.start():
        return True  # « 1. » that numbers an item
    word = re.search(r"[A-Za-zÀ-ÿ]+$", before)
    return bool(word and len(word.group()) <= 3 and _NEXT_IS_LOWER.match(text, stop.end()))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > MAX_SENTENCE_CHARS:
        limit = start + MAX_SENTENCE_CHARS
        cut = max(text.rfind(sign, start + MAX_SENTENCE_CHARS // 2, limit) for sign in ",; \n\t")
        cut = limit if cut < 0 else cut + 1
        yield from _trimmed(text, start, cut)
        start = cut
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
