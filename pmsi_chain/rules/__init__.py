"""The Guide méthodologique MCO as knowledge and as a checker. Pure: no LangChain, no Qdrant, no model."""

from pmsi_chain.rules.case import LabValue, ReportFacts
from pmsi_chain.rules.checks import check
from pmsi_chain.rules.eligibility import eligibility, position_rule
from pmsi_chain.rules.guide import CodeExpression, Guide, GuideRule, load_guide

__all__ = [
    "CodeExpression",
    "Guide",
    "GuideRule",
    "LabValue",
    "ReportFacts",
    "check",
    "eligibility",
    "load_guide",
    "position_rule",
]
