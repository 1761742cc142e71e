"""The last gate: only codes of the edition, legal where they stand, with verbatim quotes, leave the chain.

Whatever decided (rules or a language model), a choice that fails is dropped and said so; it is never mended in silence.
"""

from __future__ import annotations

from collections.abc import Iterable

from pmsi_chain.codes import cim10_display
from pmsi_chain.domain import CodedAct, CodedDiagnosis, Evidence, Finding
from pmsi_chain.nomenclature import CcamEdition, Cim10Edition
from pmsi_chain.rules import load_guide
from pmsi_chain.selection import Choice, Selection

_MAX_EVIDENCE = 4


def verified(
    selection: Selection, text: str, edition: Cim10Edition, automatic_threshold: float
) -> tuple[CodedDiagnosis | None, CodedDiagnosis | None, tuple[CodedDiagnosis, ...], list[Finding]]:
    """DP, DR and DAS as they may leave, and a finding for each choice that may not.

    Args:
        automatic_threshold: confidence, in [0, 1], from which a code need not be confirmed.
    """
    dropped: list[Finding] = []
    seen: set[str] = set()

    def pass_on(choice: Choice | None) -> CodedDiagnosis | None:
        if choice is None:
            return None
        code, position = choice.proposal.code, choice.position
        evidence = verbatim(choice.proposal.evidence, text)
        why = None
        if code not in edition:
            why = f"n'existe pas dans la CIM-10 {edition.version}"
        elif not edition.is_allowed(code, position):
            why = f"n'est pas autorisé en {position.upper()}"
        elif not evidence:
            why = "n'a pas de preuve verbatim dans le compte rendu"
        elif code in seen:
            why = "est déjà codé"
        if why:
            rule = load_guide().rule(choice.rule_id)
            dropped.append(
                Finding(rule_id=rule.id, severity="info", message=f"{cim10_display(code)} retiré : il {why}.",
                        codes=(code,), source=str(rule.source))
            )  # fmt: skip
            return None
        seen.add(code)
        rule = load_guide().rule(choice.rule_id)
        entry = edition.entry(code)
        return CodedDiagnosis(
            code=code,
            display=entry.display,
            label=entry.label,
            position=position,
            confidence=choice.proposal.probability,
            automatic=choice.proposal.probability >= automatic_threshold,
            evidence=evidence[:_MAX_EVIDENCE],
            rule_id=rule.id,
            rule_source=str(rule.source),
            reasons=choice.reasons,
        )

    dp = pass_on(selection.dp)
    dr = pass_on(selection.dr) if dp is not None and dp.code.startswith("Z") else None
    das = tuple(item for item in map(pass_on, selection.das) if item is not None)
    return dp, dr, das, dropped


def verbatim(evidence: Iterable[Evidence], text: str) -> tuple[Evidence, ...]:
    """The proofs whose quote stands in the text where it says."""
    return tuple(e for e in evidence if e.quote and text[e.start : e.end] == e.quote)


def verified_acts(acts: Iterable[CodedAct], text: str, edition: CcamEdition) -> tuple[CodedAct, ...]:
    """The acts of the edition that are proven verbatim."""
    return tuple(a for a in acts if a.code in edition and verbatim(a.evidence, text) == a.evidence)
