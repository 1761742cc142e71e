"""The checker: every kind of finding on any coding, ours or a person's. Pure; a wrong coding is no exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from pmsi_chain.domain import Coding, Finding, Rum, Severity, Stay
from pmsi_chain.rules import (
    check_acts,
    check_codes,
    check_companions,
    check_conditions,
    check_input,
    check_patient,
    check_redundancy,
    check_report,
)
from pmsi_chain.rules.case import Case, ReportFacts
from pmsi_chain.rules.protocols import ActEdition, DiagnosisEdition, ReadReport
from pmsi_chain.rules.report_words import ReportText

Check = Callable[[Case], Iterator[Finding]]

#: The closed check-list, in the order of the report.
CHECKS: tuple[Check, ...] = (
    check_input.mixed,
    check_input.addressed_to_a_machine,
    check_codes.dp_present,
    check_codes.legality,
    check_codes.position_forbidden,
    check_codes.related_diagnosis,
    check_codes.exclusions,
    check_codes.forbidden_codes,
    check_patient.sex,
    check_patient.age,
    check_report.contexts,
    check_report.past,
    check_report.appeared,
    check_report.situation,
    check_report.symptom_kept,
    check_report.inverted,
    check_redundancy.repeated,
    check_redundancy.vague,
    check_redundancy.symptoms,
    check_redundancy.contradictory,
    check_redundancy.notes,
    check_redundancy.daggers,
    check_redundancy.asterisks,
    check_companions.external_causes,
    check_companions.complication_codes,
    check_companions.poisoning,
    check_companions.germs,
    check_companions.delivery,
    check_companions.related,
    check_companions.sessions,
    check_companions.sequelae,
    check_companions.sepsis,
    check_companions.pregnancy,
    check_companions.double_use,
    check_companions.chronic_only,
    check_companions.falls,
    check_companions.suspicion,
    check_conditions.words,
    check_conditions.against,
    check_conditions.to_add,
    check_conditions.insulin,
    check_conditions.anaemia,
    check_conditions.malnutrition,
    check_conditions.respiratory,
    check_conditions.potassium,
    check_conditions.cystitis,
    check_conditions.newborn,
    check_report.proofs,
    check_acts.acts,
    check_acts.together,
    check_acts.described,
)
_ORDER: dict[Severity, int] = {"blocking": 0, "review": 1, "info": 2}


def check(
    coding: Rum | Coding,
    stay: Stay | None,
    edition: DiagnosisEdition,
    ccam: ActEdition | None = None,
    context: ReportFacts | None = None,
    reading: ReadReport | None = None,
) -> list[Finding]:
    """Everything that speaks against a coding or is missing from it.

    Args:
        coding: a RUM of bare codes (dots allowed), or a `Coding`.
        stay: the report, sex, age and dates; None when only the codes are known.
        edition: the CIM-10 edition in force on the discharge date.
        ccam: the CCAM edition; without it acts are not looked up.
        context: what a reader found of each code; without it the report is searched with simple word matching.
        reading: the stay's report as read (`pmsi_chain.reading.Report`): its sections, contexts and values then serve
            the search.

    Returns:
        Findings, blocking first, each once.
    """
    rum = coding.to_rum() if isinstance(coding, Coding) else coding
    report = ReportText.from_text(stay.text, reading) if stay is not None and stay.text.strip() else None
    case = Case(rum, edition, stay, ccam, context, report, read=context is not None)
    if report is not None:
        case = replace(case, facts=_facts(case, report))
    found: dict[tuple[str, tuple[str, ...]], Finding] = {}
    for run in CHECKS:
        for finding in run(case):
            found.setdefault((finding.rule_id, tuple(sorted(finding.codes))), finding)
    return sorted(found.values(), key=lambda finding: _ORDER[finding.severity])


def _facts(case: Case, report: ReportText) -> ReportFacts:
    """The reader's facts, with the values of the text when it brought none; else what simple matching finds."""
    if case.facts is None:
        return report.facts(case.codes, case.edition)
    return case.facts if case.facts.values else replace(case.facts, values=report.values())
