"""The Guide méthodologique MCO as knowledge and as a checker. Pure: no LangChain, no Qdrant, no model."""

from pmsi_chain.rules.case import LabValue, ReportFacts
from pmsi_chain.rules.checks import check
from pmsi_chain.rules.eligibility import eligibility, position_rule
from pmsi_chain.rules.guide import CodeExpression, Guide, GuideRule, load_guide
from pmsi_chain.rules.situation_facts import Followed, Found, Obstetric, SituationFacts
from pmsi_chain.rules.situation_reader import read_situation
from pmsi_chain.rules.situation_report import situation_of
from pmsi_chain.rules.situations import Role, SituationDecision, decide_situation
from pmsi_chain.rules.treatments import TreatmentMotive, find_treatment, treatments

__all__ = [
    "CodeExpression",
    "Followed",
    "Found",
    "Guide",
    "GuideRule",
    "LabValue",
    "Obstetric",
    "ReportFacts",
    "Role",
    "SituationDecision",
    "SituationFacts",
    "TreatmentMotive",
    "check",
    "decide_situation",
    "eligibility",
    "find_treatment",
    "load_guide",
    "position_rule",
    "read_situation",
    "situation_of",
    "treatments",
]
