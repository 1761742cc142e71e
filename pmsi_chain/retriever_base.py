"""What our retrievers share: unknown keywords are refused, where LangChain drops them, and scores are fresh."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig

#: Steps of a search that leave `<step>_score` and `<step>_rank` in the metadata of the documents they answer.
STEPS = ("bm25", "dense", "sparse", "contextual", "vector", "fused", "relevance")


def fresh(document: Document, found: Mapping[str, float], legs: Iterable[str] = ()) -> Document:
    """A copy with the scores and ranks just found, and without those that an earlier search left in its metadata.

    Args:
        legs: names of steps beside `STEPS` whose older scores go too.
    """
    stale = {f"{step}_{what}" for step in (*STEPS, *legs) for what in ("score", "rank")}
    kept = {name: value for name, value in document.metadata.items() if name not in stale}
    return Document(id=document.id, page_content=document.page_content, metadata={**kept, **found})


class StrictRetriever(BaseRetriever):
    """A `BaseRetriever` whose `invoke` takes the keywords that its search takes, and no others."""

    def _refuse_unknown(self, given: dict[str, Any]) -> None:
        known = set(inspect.signature(self._get_relevant_documents).parameters) - {"query", "run_manager"}
        unknown = sorted(set(given) - known)
        if unknown:
            raise TypeError(f"{type(self).__name__} got {', '.join(unknown)}: it takes {', '.join(sorted(known))}")

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Search; `k=` overrides the number of documents for this call."""
        self._refuse_unknown(kwargs)
        return super().invoke(input, config, **kwargs)

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Like `invoke`."""
        self._refuse_unknown(kwargs)
        return await super().ainvoke(input, config, **kwargs)

    @staticmethod
    def _limit(asked: int | None, default: int) -> int:
        if asked is None:
            return default
        if asked < 1:
            raise ValueError(f"k={asked} was given: give 1 or more")
        return asked
