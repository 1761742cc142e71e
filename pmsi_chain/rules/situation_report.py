"""The situation clinique of a whole report: its motive says what the stay was for, its conclusion what was found."""

from __future__ import annotations

from pmsi_chain.rules.protocols import ReadReport
from pmsi_chain.rules.report_words import ReportText
from pmsi_chain.rules.situation_facts import SituationFacts
from pmsi_chain.rules.situation_reader import read_situation
from pmsi_chain.rules.situations import SituationDecision, decide_situation

#: Headings, as word matching and as `pmsi_chain.reading` name them.
MOTIVES = frozenset({"motif"})
CONCLUSIONS = frozenset({"conclusion", "au total", "synthese", "diagnostic"})


def situation_of(text: str, reading: ReadReport | None = None) -> tuple[SituationFacts, SituationDecision]:
    """Facts and decision of a report.

    Args:
        text: the report; without a section « motif » nor an opening sentence that tells the reason for admission,
            nothing is decided (`rule_id` is None).
        reading: the same report as read, for its sections.
    """
    return situation_of_report(ReportText.from_text(text, reading))


def situation_of_report(report: ReportText) -> tuple[SituationFacts, SituationDecision]:
    """`situation_of`, for a report already cut into sentences."""
    motive = report.section(*MOTIVES) or report.admission()
    facts = read_situation(motive, outcome=report.section(*CONCLUSIONS))
    return facts, decide_situation(facts)
