"""Checks of a coding against what the report says: negated, supposed, of a relative, past, late, or not proven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pmsi_chain.domain import Evidence, Finding, Severity
from pmsi_chain.rules.case import Case, Item
from pmsi_chain.rules.check_tables import Proof, check_tables
from pmsi_chain.rules.expressions import any_matches, chapter_of
from pmsi_chain.rules.situation_report import CONCLUSIONS, MOTIVES, situation_of_report

#: Rules of ch. VI whose DP is a code set by the care that motivates the stay.
_IMPOSED = frozenset(f"GM2026-VI-{name}" for name in ("D3", "T1", "T4", "T6", "T7", "T10", "T11", "T15"))
#: A CMA weighs in the group from this level on.
_CMA = 2


def contexts(case: Case) -> Iterator[Finding]:
    """A condition that the report denies, only supposes, or gives to a relative (ch. IV, 2; ch. V, Antécédents)."""
    if case.facts is None:
        return
    facts = case.facts
    kinds: tuple[tuple[Mapping[str, tuple[Evidence, ...]], str, Severity, str], ...] = (
        (facts.negated, "GM2026-IV-DAS-05", "blocking", "est nié par le compte rendu : le retirer"),
        (facts.family, "GM2026-V-ATCD-01", "blocking",
         "est l'affection d'un parent : le retirer, ou coder l'antécédent familial (Z80-Z84)"),
        (facts.hypothesis, "GM2026-IV-DAS-05", "review",
         "n'est qu'une hypothèse dans le compte rendu : coder le symptôme, ou trouver ce qui la confirme"),
    )  # fmt: skip
    for item in case.items:
        if chapter_of(item.code) in ("XX", "XXI"):
            continue
        for listed, rule, severity, what in kinds:
            if item.code in listed and item.code not in facts.present:
                rule_id = "GM2026-IV-DR-06" if item.position == "dr" and rule == "GM2026-IV-DAS-05" else rule
                yield case.finding(
                    rule_id, severity, f"{case.show(item.code)} {what}.", (item.code,), listed[item.code]
                )
                break


def past(case: Case) -> Iterator[Finding]:
    """A cured condition coded as if it were present (ch. V, Antécédents, p. 82-83)."""
    if case.facts is None:
        return
    for item in case.items:
        words = case.facts.history.get(item.code)
        if (
            words is None
            or item.position == "dr"
            or not any_matches(check_tables().groups["peut être ancien"], item.code)
        ):
            continue
        tumour = any_matches(("C00-C97",), item.code)
        yield case.finding(
            "GM2026-V-ATCD-04" if tumour else "GM2026-V-ATCD-01", "review",
            f"{case.show(item.code)} n'apparaît que comme antécédent : "
            + ("le soignant doit dire si le cancer est actif ; sinon Z85." if tumour
               else "code d'antécédent (Z80-Z99) ou de séquelle s'il n'est plus actif."),
            (item.code,), words,
        )  # fmt: skip


def appeared(case: Case) -> Iterator[Finding]:
    """A DP that began during the stay (ch. IV, 1.1)."""
    if case.facts is None or not case.dp or case.dp in case.facts.motive:
        return
    words = case.facts.appeared.get(case.dp)
    if words is not None:
        yield case.finding(
            "GM2026-IV-DP-02", "blocking" if case.read else "review",
            f"Le DP {case.show(case.dp)} est apparu pendant le séjour : il devient un DAS, et le DP est le motif "
            "d'admission.",
            (case.dp,), words,
        )  # fmt: skip


def situation(case: Case) -> Iterator[Finding]:
    """A motive that imposes a DP (treatment, exploration, device) coded with another DP (ch. VI)."""
    if case.report is None or not case.dp:
        return
    facts, decision = situation_of_report(case.report)
    name = "treatment" if facts.treatment else "exam"
    if facts.symptom or decision.rule_id not in _IMPOSED or name not in facts.words:
        return
    if any_matches(decision.dp_codes, case.dp) or case.having("Z53"):
        return
    words = case.report.quoted(facts.words[name])
    yield case.finding(
        decision.rule_id, "review",
        f"Le motif d'admission impose le DP {' ou '.join(decision.dp_codes)}, or {case.show(case.dp)} est codé : "
        "vérifier la raison du séjour.",
        (case.dp,), (words,) if words else (),
    )  # fmt: skip


def symptom_kept(case: Case) -> Iterator[Finding]:
    """A symptom as DP although the conclusion names the disease that explains it (ch. VI, D1)."""
    if case.report is None or chapter_of(case.dp) != "XVIII" or any_matches(("R18", "R52.1", "R29.6"), case.dp):
        return
    facts, decision = situation_of_report(case.report)
    if decision.rule_id not in ("GM2026-VI-D1", "GM2026-VI-D8") or not facts.symptom or not facts.found:
        return
    words = case.report.quoted(facts.words["found"])
    yield case.finding(
        decision.rule_id, "review",
        f"Le DP {case.show(case.dp)} est un symptôme, or la conclusion nomme une affection : si elle l'explique, "
        "elle est le DP.",
        (case.dp,), (words,) if words else (),
    )  # fmt: skip


def inverted(case: Case) -> Iterator[Finding]:
    """A DP named neither in the motive nor in the conclusion, while a DAS is in both (ch. IV, 1.1)."""
    if case.report is None or not case.dp or chapter_of(case.dp) == "XXI":
        return
    own = case.report.headings(case.dp, case.edition)
    if not own or own.keys() & (MOTIVES | CONCLUSIONS | {"", "autre", "entete"}):
        return
    for code in dict.fromkeys(case.das):
        if chapter_of(code) in ("XVIII", "XX", "XXI"):
            continue
        named = case.report.headings(code, case.edition)
        motive, conclusion = named.keys() & MOTIVES, named.keys() & CONCLUSIONS
        if motive and conclusion:
            yield case.finding(
                "GM2026-IV-DP-01", "review",
                f"Le DP {case.show(case.dp)} n'est nommé ni dans le motif ni dans la conclusion, où l'on trouve "
                f"{case.show(code)} : DP et DAS sont peut-être inversés.",
                (case.dp, code), tuple(named[heading] for heading in sorted(motive | conclusion)),
            )  # fmt: skip
            return


def proofs(case: Case) -> Iterator[Finding]:
    """A DAS that weighs in the group must be written, and shown to be examined, treated or monitored (ch. IV, 2)."""
    if case.facts is None:
        return
    facts = case.facts
    for item in case.items:
        if item.position != "das" or chapter_of(item.code) in ("XX", "XXI"):
            continue
        entry = case.entry(item.code)
        level = entry.cma_level if entry else None
        proof = _proof(item.code)
        if proof is None and (level or 0) < _CMA:
            continue
        if any(item.code in listed for listed in (facts.negated, facts.family, facts.hypothesis)):
            continue
        yield from _missing(case, item, proof, level)


def _proof(code: str) -> Proof | None:
    return next((proof for proof in check_tables().proofs if any_matches(proof.codes, code)), None)


def _missing(case: Case, item: Item, proof: Proof | None, level: int | None) -> Iterator[Finding]:
    facts = case.facts
    if facts is None:
        return
    weight = f"CMA de niveau {level}" if (level or 0) >= _CMA else "diagnostic contrôlé de près"
    expect = proof.expect if proof else "un examen, un traitement ou une surveillance qui le vise"
    if item.code not in facts.present and item.code not in facts.managed:
        if case.read or proof is not None:
            yield case.finding(
                "GM2026-IV-DAS-02", "review",
                f"{case.show(item.code)}, {weight} : aucun passage du compte rendu ne l'atteste ; il manque {expect}.",
                (item.code,),
            )  # fmt: skip
    elif item.code not in facts.managed:
        yield case.finding(
            "GM2026-IV-DAS-02", "review",
            f"{case.show(item.code)}, {weight}, est écrit mais rien ne montre sa prise en charge ; il manque {expect}.",
            (item.code,), facts.present[item.code],
        )  # fmt: skip
