"""The LLM as an adviser: it chooses among candidates and argues; every word of it is checked.

`LlmSelector` stands where the rule-based selector stands; see `pmsi_chain.selection`.
"""

from pmsi_chain.llm.answer import Answer, ChosenCode, RejectedCode
from pmsi_chain.llm.selector import LlmSelector

__all__ = ["Answer", "ChosenCode", "LlmSelector", "RejectedCode"]
