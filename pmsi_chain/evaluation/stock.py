"""The stock chain of the model card, for comparison: LangChain's own parts with their defaults, on the same chunks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from langchain_classic.retrievers import ContextualCompressionRetriever, EnsembleRetriever
from langchain_core.retrievers import RetrieverLike
from langchain_qdrant import QdrantVectorStore

from pmsi_chain.engine import Nomenclature, RAGEngine
from pmsi_chain.errors import ConfigurationError
from pmsi_chain.index import DENSE


def stock_variants(
    engine: RAGEngine, nomenclature: Nomenclature, k: int, progress: Callable[[str], None] = lambda message: None
) -> Iterator[tuple[str, RetrieverLike]]:
    """LangChain's `BM25Retriever`, its `EnsembleRetriever` with the dense vectors, and FlashRank's wrapper after it.

    Args:
        k: documents asked of each; everything else is the part's default (whitespace tokeniser, equal weights,
            duplicates found by text).

    Raises:
        ConfigurationError: `rank_bm25` is not installed (extra `[bench]`).
    """
    if find_spec("rank_bm25") is None:
        raise ConfigurationError("--stock demande rank-bm25 : installer pmsi-chain[bench]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # langchain-community announces its end at import
        from langchain_community.document_compressors.flashrank_rerank import FlashrankRerank
        from langchain_community.retrievers import BM25Retriever
    index = engine.index(nomenclature)
    lexical = BM25Retriever.from_documents(index.documents, k=k)
    store = QdrantVectorStore(
        client=index.client,  # type: ignore[arg-type]  # the calls that a search makes, see qdrant_embedded
        collection_name=index.collection,
        embedding=engine.encoders.dense[DENSE],  # type: ignore[arg-type]  # an `Embeddings` too
        vector_name=DENSE,
        validate_embeddings=False,
        validate_collection_config=False,
    )
    legs: list[RetrieverLike] = [lexical, store.as_retriever(search_kwargs={"k": k})]
    ensemble = EnsembleRetriever(retrievers=legs)  # type: ignore[call-arg]  # equal weights unless given
    yield "LangChain BM25Retriever", lexical
    yield "LangChain EnsembleRetriever", ensemble
    from flashrank.Config import default_cache_dir, default_model

    folder = Path(default_cache_dir) / default_model
    if folder.is_dir():
        from flashrank import Ranker

        ranker = Ranker(model_name=default_model, cache_dir=str(folder.parent))
        compressor = FlashrankRerank(client=ranker, top_n=k)
        yield (
            "LangChain FlashrankRerank",
            ContextualCompressionRetriever(base_compressor=compressor, base_retriever=ensemble),
        )
    else:
        progress(
            f"FlashRank : {default_model} n'est pas dans {default_cache_dir}, sa ligne manque (rien n'est téléchargé)"
        )
