"""Report → sections, sentences, mentions with their context, laboratory values; offsets into the text as given."""

from pmsi_chain.reading.context import FLAGS
from pmsi_chain.reading.reader import Reader
from pmsi_chain.reading.report import SECTION_NAMES, LabValue, Mention, Report, Section, Sentence

__all__ = ["FLAGS", "SECTION_NAMES", "LabValue", "Mention", "Reader", "Report", "Section", "Sentence"]
