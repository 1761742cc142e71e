"""The Guide's own examples: where they stand and what they must give. Their wording is read from the Guide itself.

Nothing of the wording is kept here: only the place (section and rank of the quotation, or file and line), the expected
rule, and the expected DP and DR as a printed code or as the fact they come from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pmsi_chain.rules.expressions import stored
from pmsi_chain.rules.situation_facts import SituationFacts
from pmsi_chain.rules.situation_reader import read_situation
from pmsi_chain.rules.situation_words import situation_words
from pmsi_chain.rules.situations import Role, SituationDecision, decide_situation
from pmsi_chain.text import fold, tokens

SITUATIONS = "chapitre_IV_VI_situations_cliniques.md"
_QUOTE = re.compile(r"« ((?:[^«»]|«[^»]*»)*) »")
#: The verdict starts here: nothing from there on is shown to the procedure.
_VERDICT = re.compile(
    r"\(\s*DP[^)]*\)|(?:[;:.,]\s*|\s)(?:et )?(?:le )?(?:code du )?DP\b.*|,?\s*(?:il|elle) reste le DP.*"
    r"|;\s*il s’agit d’un traitement.*|;\s*situation de surveillance.*|\.? ?Aucun RUM.*|,? ?aucun RUM.*"
    r"|\. Le code du DP.*"
    r"|\s*:\s*[A-Z][0-9][0-9].*$",
    re.DOTALL,
)


@dataclass(frozen=True)
class Example:
    """A place in the Guide and what it must give.

    Attributes:
        place: (section, rank of the quotation) in ch. VI, or (file, start of line number) in ch. V.
        part: 0 for the whole wording; n for the n-th part split at « ; » (several cases in one quotation).
        dp, dr: a printed code, or the name of a `Role`; "" for none.
        follows: the patient is the one of the previous example.
    """

    section: str
    rank: int
    rule: str
    dp: str
    dr: str = ""
    part: int = 0
    follows: bool = False


UNSAID = "UNSAID"  # the example gives the DP only, though its DP calls for a DR
F, K, S = "FOUND", "KNOWN", "SYMPTOM"
EXAMPLES: tuple[Example, ...] = (
    *(Example("D1", n, "GM2026-VI-D1", F) for n in range(1, 6)),
    *(Example("D2", n, "GM2026-VI-D2", S) for n in range(1, 6)),
    Example("D3", 1, "GM2026-VI-D3", "Z04.801", F, part=1),
    Example("D3", 1, "GM2026-VI-D3", "Z04.801", S, part=2),
    Example("D5", 1, "GM2026-VI-D5", K),
    Example("D5", 2, "GM2026-VI-D5", K),
    Example("D6", 1, "GM2026-VI-D6", "E05.5", part=1),
    Example("D6", 1, "GM2026-VI-D6", "E1?.1", part=2),
    Example("D6", 1, "GM2026-VI-D6", "I20.0", part=3),
    Example("D6", 1, "GM2026-VI-D6", "J44.1", part=4),
    Example("D6", 1, "GM2026-VI-D6", "J46", part=5),
    Example("D6", 1, "GM2026-VI-D6", "K85", part=6),
    Example("D7", 1, "GM2026-VI-D7", F),
    Example("D7", 2, "GM2026-VI-D7", F, follows=True),
    Example("D7", 3, "GM2026-VI-D7", F),
    Example("D7", 4, "GM2026-VI-D7", F),
    Example("D8", 1, "GM2026-VI-D8", F),
    Example("D9", 1, "GM2026-VI-D9", F),
    Example("T1", 1, "GM2026-VI-T1", "Z49.1", K),
    Example("T1", 2, "GM2026-VI-T1", "Z51.1", K),
    Example("T1", 3, "GM2026-VI-T1", "Z51.30", K),
    Example("T1", 4, "GM2026-VI-T1", "Z51.2", K),
    Example("T1", 5, "GM2026-VI-T1", "Z51.2", K),
    Example("T1", 6, "GM2026-VI-T1", "Z49.1", K),
    Example("T1", 7, "GM2026-VI-T1", "Z51.1", K),
    Example("T3", 1, "GM2026-VI-T3", K),
    Example("T3", 2, "GM2026-VI-T3", F, follows=True),
    Example("T4", 1, "GM2026-VI-T4", "Z41.1"),
    Example("T4", 2, "GM2026-VI-T4", "Z41.1"),
    Example("T5", 1, "GM2026-VI-T5", "Z42.1", UNSAID),
    Example("T5", 2, "GM2026-VI-T5", K),
    Example("T5", 3, "GM2026-VI-T5", "E65"),
    Example("T5", 4, "GM2026-VI-T5", "Z42.1", K),
    Example("T5", 5, "GM2026-VI-T5", "Z42.1", K),
    Example("T5", 6, "GM2026-VI-T5", K),
    Example("T7", 1, "GM2026-VI-T7", "Z43.3"),
    Example("T7", 2, "GM2026-VI-T7", "Z45.2"),
    Example("T7", 3, "GM2026-VI-T7", "Z45.0"),
    Example("T7", 4, "GM2026-VI-T7", "Z45.84"),
    Example("T7", 5, "GM2026-VI-T7", "Z49.0", K),
    Example("T15", 1, "GM2026-VI-T15", "Z40.00"),
    Example("T14", 1, "GM2026-VI-T14", K),
    Example("T14", 2, "GM2026-VI-T14", K),
    Example("T8", 1, "GM2026-VI-T8", K),
    Example("T8", 2, "GM2026-VI-T8", K),
    Example("T8", 3, "GM2026-VI-T8", K),
    Example("T9", 1, "GM2026-VI-T9", K),
    Example("T9", 2, "GM2026-VI-T9", K),
    Example("T9", 3, "GM2026-VI-T9", K),
    Example("T9", 4, "GM2026-VI-T9", K),
    Example("T10", 1, "GM2026-VI-T10", "Z51.01", K),
    Example("T10", 2, "GM2026-VI-T10", "Z51.2", K),
    Example("T11", 1, "GM2026-VI-T11", "Z51.5", K),
    Example("T11", 2, "GM2026-VI-T11", "Z51.5", K),
    Example("S1", 1, "GM2026-VI-S1", "Z09", K),
    Example("S1", 2, "GM2026-VI-S1", "Z08.0", K),
    Example("S1", 3, "GM2026-VI-S1", "Z08", K),
    *(Example("SD1", n, "GM2026-VI-SD1", F) for n in range(1, 5)),
    Example("1.6", 1, "GM2026-VI-1.6-3", ""),
    Example("1.6", 2, "GM2026-VI-1.6-3", ""),
    Example("1.6", 3, "GM2026-VI-1.6-1", F),
    Example("1.6", 4, "GM2026-VI-1.6-1", "CANCEL_CAUSE"),
    Example("chapitre_xxi.md", 59, "GM2026-V-Z-12", "Z20"),
    Example("chapitre_xxi.md", 112, "GM2026-VI-T4", "Z41.1"),
    Example("chapitre_xxi.md", 113, "GM2026-VI-T5", "Z42.1", UNSAID),
    Example("chapitre_xxi.md", 114, "GM2026-VI-T4", "Z41.1"),
    Example("chapitre_xxi.md", 115, "GM2026-VI-T5", K),
    Example("chapitre_xxi.md", 116, "GM2026-VI-T5", K),
    Example("chapitre_xxi.md", 121, "GM2026-VI-T7", "Z43.3"),
    Example("chapitre_xxi.md", 151, "GM2026-VI-T1", "Z51.30", K),
    Example("chapitre_xxi.md", 181, "GM2026-V-Z-43", "Z74.2"),
    Example("chapitre_xxi.md", 200, "GM2026-VI-D4", "HISTORY"),
    Example("chapitre_xxi.md", 206, "GM2026-VI-T3", "K00-K08"),
    Example("chapitre_xxi.md", 215, "GM2026-VI-S2", "Z94.1"),
    Example("chapitre_xxi.md", 216, "GM2026-VI-S3", "Z95.1"),
    Example("chutes_a_repetition.md", 10, "GM2026-V-CHUTES-02", "R29.6"),
    Example("chutes_a_repetition.md", 11, "GM2026-V-CHUTES-02", "R29.6"),
)


def wordings(folder: Path) -> dict[tuple[str, int], str]:
    """The full text of every example place in the Guide."""
    found: dict[tuple[str, int], str] = {}
    section = ""
    for line in (folder / SITUATIONS).read_text(encoding="utf-8").splitlines():
        if line.startswith("###"):
            section = line.strip("# \n").split(" · ")[0]
        elif re.match(r"- (?:Exemples?|Aucun RUM)", line):
            for quote in _QUOTE.findall(line):
                rank = sum(key[0] == section for key in found) + 1
                found[(section, rank)] = quote
    for name in ("chapitre_xxi.md", "chutes_a_repetition.md"):
        for number, line in enumerate((folder / "chapitre_V" / name).read_text(encoding="utf-8").splitlines(), start=1):
            found[(name, number)] = re.sub(r"^[\s>*-]*(?:Exemples? ?:)?\s*", "", line)
    return found


def split_parts(example: Example, text: str) -> str:
    """The part of a quotation that holds the case."""
    if example.section == "D3":
        head, first, second = re.split(r"(?<=ronflements)\s*:\s*|\s*;\s*", text)[:3]
        return f"{head} : {(first, second)[example.part - 1]}"
    return re.split(r"\s*;\s*", text)[example.part - 1] if example.part else text


def case_wording(text: str) -> str:
    """The wording without its verdict."""
    return _VERDICT.sub("", text).strip(" ;:,.")


def verdict(text: str) -> str:
    """The Guide's own words about the DP, for comparison."""
    match = re.search(r"\bDP\b[^;]*", text)
    return match.group() if match else ""


def decide(example: Example, texts: dict[tuple[str, int], str]) -> tuple[SituationFacts, SituationDecision, str]:
    """Facts read from the wording, the decision, and the wording's verdict."""
    text = split_parts(example, texts[(example.section, example.rank)])
    before = read_situation(case_wording(texts[(example.section, example.rank - 1)])) if example.follows else None
    facts = read_situation(case_wording(text), before)
    return facts, decide_situation(facts), verdict(text)


def dp_agrees(example: Example, decision: SituationDecision, told: str) -> bool:
    """Whether the DP comes from the expected fact or code, and names what the Guide names."""
    if not example.dp:
        return not decision.rum
    if hasattr(Role, example.dp):
        if decision.dp_role is not Role[example.dp] or not decision.dp:
            return False
        printed = set(tokens(told)) - {"dp"}
        by_code = re.search(r"\b[A-Z][0-9]{2}", told)
        both_cancers = all(situation_words().cancer.search(fold(text)) for text in (decision.dp, told))
        return not printed or by_code is not None or both_cancers or bool(set(tokens(decision.dp)) & printed)
    return any(stored(code).startswith(stored(example.dp)) for code in decision.dp_codes)


def dr_agrees(example: Example, decision: SituationDecision) -> bool:
    """Whether the DR comes from the expected fact, or is absent as expected."""
    if example.dr == UNSAID:
        return True
    if not example.dr:
        return decision.dr_role is Role.NONE
    return decision.dr_role is Role[example.dr] and bool(decision.dr)
