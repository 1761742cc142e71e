"""The Guide méthodologique MCO, as Markdown or PDF, cut by article with its pages: a hospital's own copy, read here.

The rules that the project applies are its own data (`pmsi_chain.rules`); this reads the text that they cite.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pmsi_chain.errors import ConfigurationError, SourceFileError
from pmsi_chain.nomenclature.files import Source, decode, lines_of, open_source

_HEADING = re.compile(r"(#{1,6})\s+(.+?)\s*#*")
_PAGES = re.compile(r"\bp(?:ages?|p)?\.?\s*([0-9]{1,3}(?:\s*[-–]\s*[0-9]{1,3})?)\b")
_NUMBERED = re.compile(r"(?:[IVX]{1,5}\.|[0-9]{1,2}\.)(?:[0-9]{1,2}\.?){0,3}\s+[A-ZÀ-Ý].{2,120}")
_CAPITALS = re.compile(r"[A-ZÀ-Ý0-9][A-ZÀ-ÝŒ0-9 ’'(),.–:-]{7,120}")
_TABLE_OF_CONTENTS = re.compile(r"\.{4,}\s*[0-9]+\s*$")
MAX_PDF_PAGES = 2_000


@dataclass(frozen=True, slots=True)
class GuideArticle:
    """One article.

    Attributes:
        title: its own heading; path: the headings above it, outermost first.
        pages: printed pages as the Markdown gives them ("78-81"), pages of the file for a PDF, "" when unknown.
        text: what stands under the heading and before the next one.
        file: name of the file it was read in.
    """

    title: str
    path: tuple[str, ...]
    pages: str
    text: str
    file: str


def read_guide(path: Path) -> tuple[GuideArticle, ...]:
    """The articles of a Markdown file, of every Markdown file of a folder (in name order), or of a PDF.

    Raises:
        SourceFileError: no such file, no article in it, or a damaged PDF.
        ConfigurationError: a PDF without `pypdf`.
    """
    if path.is_dir():
        files = sorted(path.rglob("*.md"))
        if not files:
            raise SourceFileError(f"{path.name} : aucun fichier Markdown dans ce dossier")
        return tuple(article for file in files for article in read_guide(file))
    source = open_source(path)
    if source.is_pdf:
        return _checked(source, _from_pages(source, _pdf_pages(source)))
    text, _ = decode(source)
    return _checked(source, _from_markdown(source, lines_of(text, source.inner_name)))


def _checked(source: Source, articles: Iterable[GuideArticle]) -> tuple[GuideArticle, ...]:
    found = tuple(articles)
    if not found:
        raise SourceFileError(f"{source.inner_name} : aucun titre d'article trouvé (Markdown ou PDF du Guide attendu)")
    return found


def _from_markdown(source: Source, lines: list[str]) -> Iterator[GuideArticle]:
    stack: list[tuple[int, str]] = []
    body: list[str] = []
    pages = ""

    def article() -> Iterator[GuideArticle]:
        text = "\n".join(body).strip()
        if stack and text:
            titles = [title for _, title in stack]
            yield GuideArticle(titles[-1], tuple(titles[:-1]), pages, text, source.inner_name)

    for line in lines:
        heading = _HEADING.fullmatch(line.strip())
        if heading is None:
            if line.startswith("Source") and (printed := _PAGES.search(line)):
                pages = re.sub(r"\s", "", printed[1]).replace("–", "-")
                continue
            body.append(line)
            continue
        yield from article()
        body = []
        level = len(heading[1])
        stack = [*[item for item in stack if item[0] < level], (level, heading[2])]
    yield from article()


def _pdf_pages(source: Source) -> list[str]:
    try:
        import pypdf
    except ImportError as error:
        raise ConfigurationError("lire un PDF demande pypdf : pip install pypdf ; ou donner le Markdown") from error
    try:
        reader = pypdf.PdfReader(io.BytesIO(source.content))
        if reader.is_encrypted:
            raise SourceFileError(f"{source.name} : PDF chiffré")
        if len(reader.pages) > MAX_PDF_PAGES:
            raise SourceFileError(f"{source.name} : plus de {MAX_PDF_PAGES} pages")
        return [page.extract_text() for page in reader.pages]
    except SourceFileError:
        raise
    except Exception as error:  # pypdf raises whatever a damaged file provokes
        raise SourceFileError(f"{source.name} : PDF endommagé ou tronqué ({type(error).__name__})") from error


def _from_pages(source: Source, pages: list[str]) -> Iterator[GuideArticle]:
    """Articles begin at a numbered title, or at a line in capitals as chapter V prints them."""
    title, body, first, last = "", list[str](), 0, 0
    for number, text in enumerate(pages, 1):
        for raw in text.split("\n"):
            line = " ".join(raw.split())
            if _TABLE_OF_CONTENTS.search(line):
                continue
            if _CAPITALS.fullmatch(line) or _NUMBERED.fullmatch(line):
                if title and "".join(body).strip():
                    yield _pdf_article(source, title, body, first, last)
                title, body, first = line, [], number
            elif line and title:
                body.append(line)
                last = number
    if title and body:
        yield _pdf_article(source, title, body, first, last)


def _pdf_article(source: Source, title: str, body: list[str], first: int, last: int) -> GuideArticle:
    pages = str(first) if last <= first else f"{first}-{last}"
    return GuideArticle(title, (), pages, "\n".join(body), source.name)
