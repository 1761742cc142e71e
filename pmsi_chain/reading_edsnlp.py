"""EDS-NLP's qualifiers as a second reader of context: negation, hypothesis, family, history.

AP-HP's rules, run as they are on the mentions that our reader found. Off by default (`Settings.context_reader`): they
take about four seconds to load, and what they add or miss beside our own cues is measured in the tests.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

from pmsi_chain.reading import Report

_FLAGS = {"negation": "negated", "hypothesis": "hypothesis", "family": "family", "history": "history"}
_GROUP = "mentions"


class EdsQualifiers:
    """Context flags of spans, by EDS-NLP; the pipeline is built at the first use."""

    @cached_property
    def _pipeline(self) -> Any:
        from loguru import logger

        logger.disable("edsnlp")  # it warns that sections are not given to it: ours are
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import edsnlp
            import edsnlp.pipes as eds

            pipeline = edsnlp.blank("eds")
            pipeline.add_pipe(eds.normalizer(pollution=False))
            pipeline.add_pipe(eds.sentences())
            pipeline.add_pipe(eds.negation(span_getter=_GROUP))
            pipeline.add_pipe(eds.hypothesis(span_getter=_GROUP))
            pipeline.add_pipe(eds.family(span_getter=_GROUP))
            pipeline.add_pipe(eds.history(span_getter=_GROUP, use_sections=False))
        logging.getLogger("edsnlp").setLevel(logging.ERROR)
        return pipeline

    def flags(self, text: str, spans: Sequence[tuple[int, int]]) -> list[frozenset[str]]:
        """Per span (start, end) of the text, those of negated, hypothesis, family and history that hold."""
        document = self._pipeline.make_doc(text)
        marked = [document.char_span(start, end, label="mention", alignment_mode="expand") for start, end in spans]
        document.spans[_GROUP] = [span for span in marked if span is not None]
        for _, pipe in self._pipeline.pipeline:
            document = pipe(document)
        return [
            frozenset() if span is None else frozenset(flag for name, flag in _FLAGS.items() if getattr(span._, name))
            for span in marked
        ]


def requalified(report: Report, qualifiers: EdsQualifiers, mode: Literal["edsnlp", "both"]) -> Report:
    """The report with its mentions' context read by EDS-NLP, or by both readers: then the flag of either holds."""
    found = qualifiers.flags(report.text, [(mention.start, mention.end) for mention in report.mentions])
    theirs = frozenset(_FLAGS.values())
    mentions = tuple(
        replace(mention, context=(mention.context if mode == "both" else mention.context - theirs) | flags)
        for mention, flags in zip(report.mentions, found, strict=True)
    )
    return replace(report, mentions=mentions)
