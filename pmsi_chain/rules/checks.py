"""The checker: every kind of finding on any coding, ours or a person's. Pure; a wrong coding is no exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pmsi_chain.domain import Coding, Finding, Rum, Severity, Stay
from pmsi_chain.rules import check_codes
from pmsi_chain.rules.case import Case, ReportFacts
from pmsi_chain.rules.protocols import ActEdition, DiagnosisEdition

Check = Callable[[Case], Iterator[Finding]]

#: The closed check-list, in the order of the report.
CHECKS: tuple[Check, ...] = (
    check_codes.dp_present,
    check_codes.legality,
    check_codes.position_forbidden,
    check_codes.related_diagnosis,
    check_codes.exclusions,
    check_codes.forbidden_codes,
)
_ORDER: dict[Severity, int] = {"blocking": 0, "review": 1, "info": 2}


def check(
    coding: Rum | Coding,
    stay: Stay | None,
    edition: DiagnosisEdition,
    ccam: ActEdition | None = None,
    context: ReportFacts | None = None,
) -> list[Finding]:
    """Everything that speaks against a coding or is missing from it.

    Args:
        coding: a RUM of bare codes (dots allowed), or a `Coding`.
        stay: the report, sex, age and dates; None when only the codes are known.
        edition: the CIM-10 edition in force on the discharge date.
        ccam: the CCAM edition; without it acts are not looked up.
        context: what a reader found; without it the report is searched with simple word matching.

    Returns:
        Findings, blocking first, each once.
    """
    rum = coding.to_rum() if isinstance(coding, Coding) else coding
    case = Case(rum, edition, stay, ccam, context)
    found: dict[tuple[str, tuple[str, ...]], Finding] = {}
    for run in CHECKS:
        for finding in run(case):
            found.setdefault((finding.rule_id, tuple(sorted(finding.codes))), finding)
    return sorted(found.values(), key=lambda finding: _ORDER[finding.severity])
