"""Editions and the Guide cut into the chunks that get indexed."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any, Literal

from pmsi_chain.encoders.dense import PASSAGE_SEPARATOR
from pmsi_chain.index import Chunk, Corpus
from pmsi_chain.nomenclature import CcamEdition, Cim10Edition, Cim10Entry
from pmsi_chain.nomenclature.defaults import default_child
from pmsi_chain.rules import load_guide

EXTERNAL = "XX"
#: Group of a wording that a parent lends to its child: read by BM25 and in reports; a vector that has learned it for
#: the child needs no second one, which would draw every other form of the disease.
LENT = "lent"
#: Changes whenever a function here cuts otherwise, so that older indexes are not taken for its own.
CHUNKING = "4"
GUIDE_EDITION = "2026"
#: Facts of an act that a filter on a day compares, as `day_number`.
VALID_FROM, VALID_TO = "valid_from", "valid_to"


def day_number(day: date) -> int:
    """20260308 for 8 March 2026: what a payload holds of a day, in an order that a range filter understands."""
    return day.year * 10_000 + day.month * 100 + day.day


def cim10_chunks(edition: Cim10Edition, group: Literal["main", "external"]) -> list[Chunk]:
    """A chunk per codable code: its label, then its category's where that says more; one per synonym of the hospital.

    A code that ATIH split lends its wording, as a further chunk, to the extension that says no more than it.
    """
    chunks: list[Chunk] = []

    def add(entry: Cim10Entry, wording: str, rank: int, group: str = group) -> None:
        parent = edition.get(entry.category)
        category = parent.label if parent is not None and parent.code != entry.code else ""
        chunks.append(
            Chunk(
                chunk_id=f"cim10-{edition.version}/{entry.code}/{rank}",
                code=entry.code,
                label=entry.label,
                text=f"{wording}{PASSAGE_SEPARATOR}{category}" if category and category not in wording else wording,
                nomenclature="cim10-xx" if group == "external" else "cim10",
                edition=edition.version,
                positions=edition.positions(entry.code),
                group=group,
                keywords="" if rank else " ".join(entry.inclusion_notes),
                is_label=rank == 0,
                facts=cim10_facts(entry),
            )
        )

    lent: dict[str, int] = {}
    for entry in edition.codable(None):
        if (entry.chapter == EXTERNAL) == (group == "external"):
            for rank, wording in enumerate((entry.label, *entry.synonyms)):
                add(entry, wording, rank)
            lent[entry.code] = len(entry.synonyms)
    if group == "main":
        for code in edition:
            parent = edition.get(code)
            if parent is None or parent.type_mco != 3 or parent.deleted or parent.chapter == EXTERNAL:
                continue
            child = default_child(edition, code)
            if child is not None and len(child) > 4:  # a WHO code « sans précision » says its parent's words itself
                lent[child] = lent.get(child, 0) + 1
                add(edition.entry(child), parent.label, lent[child], LENT)
    return chunks


def ccam_chunks(edition: CcamEdition) -> list[Chunk]:
    """One chunk per wording of an act: its label, then each synonym."""
    chunks = []
    for entry in edition.codable():
        for rank, wording in enumerate((entry.label, *entry.synonyms)):
            chunks.append(
                Chunk(
                    chunk_id=f"ccam-{edition.version}/{entry.code}/{rank}",
                    code=entry.code,
                    label=entry.label,
                    text=wording,
                    nomenclature="ccam",
                    edition=edition.version,
                    positions=("ccam",),
                    is_label=rank == 0,
                    facts={
                        "chapter": entry.chapter,
                        "sex": entry.sex,
                        "notes": list(entry.notes),
                        VALID_FROM: day_number(entry.valid_from or date.min),
                        VALID_TO: day_number(entry.valid_to or date.max),
                    },
                )
            )
    return chunks


def cim10_facts(entry: Cim10Entry) -> dict[str, Any]:
    """What a chunk's payload says of its code beside the label; what the edition does not know is left out."""
    youngest, oldest = entry.age_limits
    facts = {
        "chapter": entry.chapter,
        "category": entry.category,
        "block": entry.block,
        "type_mco": entry.type_mco,
        "mark": entry.mark,
        "partners": list(entry.asterisk_partners or entry.dagger_partners),
        "exclusions": list(entry.exclusion_notes),
        "redirections": list(entry.redirections),
        "cma_level": entry.cma_level,
        "sex": entry.sex,
        "min_age": youngest,
        "max_age": oldest,
    }
    return {name: value for name, value in facts.items() if value not in (None, "", [])}


def guide_chunks() -> list[Chunk]:
    """One chunk per rule of the Guide, so that a question in plain French finds the article."""
    return [
        Chunk(
            chunk_id=f"guide/{rule.id}",
            code=rule.id,
            label=rule.citation,
            text=rule.passage,
            nomenclature="guide",
            edition=GUIDE_EDITION,
            positions=("guide",),
        )
        for rule in load_guide().rules
    ]


def guide_corpus() -> Corpus:
    """What the index of the Guide's rules is made of; its fingerprint is that of their words."""
    digest = hashlib.sha256("\n".join(f"{r.id} {r.passage}" for r in load_guide().rules).encode()).hexdigest()
    return Corpus("guide", GUIDE_EDITION, digest, CHUNKING, guide_chunks)


def cim10_corpus(edition: Cim10Edition, group: Literal["main", "external"]) -> Corpus:
    """What the index of an edition's diseases ("main") or external causes is made of."""
    name = "cim10" if group == "main" else "cim10-xx"
    return Corpus(name, edition.version, edition.fingerprint, CHUNKING, lambda: cim10_chunks(edition, group))


def ccam_corpus(edition: CcamEdition) -> Corpus:
    """What the index of an edition's acts is made of."""
    return Corpus("ccam", edition.version, edition.fingerprint, CHUNKING, lambda: ccam_chunks(edition))
