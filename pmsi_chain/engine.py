"""`RAGEngine`: search CIM-10 and CCAM, ask the Guide, weigh evidence. The one object that owns the parts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import date
from functools import cached_property, lru_cache
from threading import RLock
from typing import Any, Literal, Self

import numpy as np
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from qdrant_client import QdrantClient

from pmsi_chain.bm25 import FrenchBM25Retriever
from pmsi_chain.checking import criteria_for
from pmsi_chain.chunking import (
    VALID_FROM,
    VALID_TO,
    ccam_corpus,
    cim10_corpus,
    day_number,
    guide_corpus,
)
from pmsi_chain.codes import Cim10Code
from pmsi_chain.domain import POSITIONS, CodeCandidate, CodeType, EligibilityCriteria, Position
from pmsi_chain.encoders import EmbeddedEncoder, EmbeddedSparseEncoder
from pmsi_chain.errors import InputError
from pmsi_chain.index import DENSE, SPARSE, Chunk, CodeIndex, Corpus, Encoders, Progress, open_or_build
from pmsi_chain.lexicon import Lexicon, load_lexicon
from pmsi_chain.nomenclature import CcamEdition, Cim10Edition, load_ccam, load_cim10
from pmsi_chain.qdrant_server import connect
from pmsi_chain.rerank import EvidenceScorer, PmsiRerank
from pmsi_chain.retrieval import (
    CodeCompressionRetriever,
    CodeEnsembleRetriever,
    QdrantHybridRetriever,
    payload_filter,
)
from pmsi_chain.rules import GuideRule, load_guide
from pmsi_chain.settings import Settings
from pmsi_chain.similarity import Similarity
from pmsi_chain.text import fold, words

Nomenclature = Literal["cim10", "ccam"]

#: Groups of the chunks that are a code's own, `chunking.LENT` being the other.
_OWN_WORDINGS = ("main", "external")
#: Words that announce an external cause (chapter XX), searched apart: its 25 000 rows would crowd the diseases.
_EXTERNAL_CUE = re.compile(
    r"\b(accident\w*|agress\w+|autolyse|auto-?intoxication|chute\w*|collision|defenestr\w+|electrocut\w+|explosion|"
    r"ecras\w+|glissade|heurt\w*|incendie|intoxication|lesion auto-?infligee|morsure|mordu\w*|noyade|pendaison|"
    r"pieton|pique par|piqure|suicid\w*|tentative de suicide|tombe\w*|trebuch\w+)\b"
)


class RAGEngine:
    """Search of the nomenclatures, rules of the Guide, evidence; safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        encoder: EmbeddedEncoder,
        sparse: EmbeddedSparseEncoder,
        lexicon: Lexicon,
        progress: Progress = lambda message: None,
    ) -> None:
        self.settings = settings
        self.encoder = encoder
        self.lexicon = lexicon
        self._sparse = sparse
        self._progress = progress
        self._lock = RLock()
        self._indexes: dict[tuple[str, str, bool], CodeIndex] = {}
        self._guide: CodeEnsembleRetriever | None = None
        self._retrievers: dict[tuple[str, str, str | None, date | None, int], BaseRetriever] = {}
        self._search_cached = lru_cache(maxsize=4096)(self._search_uncached)

    @classmethod
    def from_settings(cls, settings: Settings | None = None, progress: Progress = lambda message: None) -> Self:
        """The engine that these settings describe; indexes are opened (or made) at their first use.

        Args:
            progress: called with one French line before anything that takes more than a second.
        """
        return cls(
            settings or Settings(),
            EmbeddedEncoder.from_package(),
            EmbeddedSparseEncoder.from_package(),
            load_lexicon(),
            progress,
        )

    def with_settings(self, **changes: Any) -> Self:
        """An engine with other settings on the same encoders, to compare."""
        settings = Settings(**{**self.settings.model_dump(), **changes})
        return type(self)(settings, self.encoder, self._sparse, self.lexicon, self._progress)

    @cached_property
    def embedded_encoders(self) -> Encoders:
        """What ships with the package: reports are read with it whatever searches the nomenclatures."""
        return Encoders.of(self.encoder, self._sparse)

    @cached_property
    def encoders(self) -> Encoders:
        """What searches the nomenclatures: BGE-M3 where the settings give its weights, the embedded ones otherwise.

        Raises:
            ConfigurationError: BGE-M3's weights or FlagEmbedding are not there.
        """
        if self.settings.bge_m3 is None:
            return self.embedded_encoders
        from pmsi_chain.encoders import BgeM3Encoder

        self._progress("BGE-M3 : chargement…")
        bge_m3 = BgeM3Encoder.from_path(self.settings.bge_m3, self.settings.bge_m3_device)
        return Encoders.of(bge_m3, bge_m3.sparse)

    def _vector_weights(self, encoders: Encoders) -> dict[str, float]:
        """Weight of every named vector of the collection inside the Qdrant leg."""
        weights = {DENSE: 1.0, SPARSE: self.settings.sparse_weight}
        return {name: weights[name] for name in (*encoders.dense, *encoders.sparse)}

    @cached_property
    def reranker(self) -> PmsiRerank:
        """The cross-encoder, loaded at its first use."""
        return PmsiRerank.from_package()

    @cached_property
    def evidence(self) -> EvidenceScorer:
        """The evidence scorer, loaded at its first use."""
        return EvidenceScorer.from_package()

    # -- editions ------------------------------------------------------------------------------------------------

    def cim10(self, version: str | None = None, on: date | None = None) -> Cim10Edition:
        """The CIM-10 edition of that name, or in force on that date, or the newest.

        Raises:
            EditionError: not installed, or none in force on that date.
        """
        return load_cim10(version or self.settings.edition, on=on, state_dir=self.settings.state_dir)

    def ccam(self, version: str | None = None, on: date | None = None) -> CcamEdition:
        """The CCAM edition of that name, or in force on that date, or the newest."""
        return load_ccam(version, on=on, state_dir=self.settings.state_dir)

    def index(
        self,
        nomenclature: Nomenclature,
        version: str | None = None,
        group: Literal["main", "external"] = "main",
        *,
        embedded: bool = False,
    ) -> CodeIndex:
        """The open index of an edition, made first where it is not there.

        Args:
            embedded: the one made with the embedded encoders, whatever the settings search with.

        Raises:
            IndexMismatchError: the directory or the server holds something else; the message says what mends it.
        """
        return self._index(nomenclature, version, group, embedded=embedded)

    def build_index(
        self,
        nomenclature: Nomenclature,
        version: str | None = None,
        group: Literal["main", "external"] = "main",
        *,
        rebuild: bool = False,
    ) -> CodeIndex:
        """Like `index`, and put in service on the Qdrant server even where another collection is.

        Args:
            rebuild: make it anew even if it is there.
        """
        return self._index(nomenclature, version, group, rebuild=rebuild, publish=True)

    def build_indexes(self, *, rebuild: bool = False) -> None:
        """`build_index` for whatever a search may open: diseases, external causes, acts, the Guide."""
        self.build_index("cim10", rebuild=rebuild)
        self.build_index("cim10", group="external", rebuild=rebuild)
        self.build_index("ccam", rebuild=rebuild)
        self.open_corpus(guide_corpus(), embedded=True, rebuild=rebuild)

    def _index(
        self,
        nomenclature: Nomenclature,
        version: str | None,
        group: Literal["main", "external"],
        *,
        embedded: bool = False,
        rebuild: bool = False,
        publish: bool = False,
    ) -> CodeIndex:
        _one_of("nomenclature", nomenclature, ("cim10", "ccam"))
        _one_of("group", group, ("main", "external"))
        edition = self.cim10(version) if nomenclature == "cim10" else self.ccam(version)
        embedded = embedded and self.settings.bge_m3 is not None
        key = (f"{nomenclature}-{group}", edition.version, embedded)
        with self._lock:
            if publish or key not in self._indexes:
                corpus = cim10_corpus(edition, group) if isinstance(edition, Cim10Edition) else ccam_corpus(edition)
                self._indexes[key] = self.open_corpus(corpus, embedded=embedded, rebuild=rebuild, publish=publish)
            return self._indexes[key]

    def open_corpus(
        self, corpus: Corpus, *, embedded: bool = False, rebuild: bool = False, publish: bool = False
    ) -> CodeIndex:
        """The index of any corpus under this engine's settings, made first where it is not there; see `index`."""
        return open_or_build(
            self.settings.state_dir,
            corpus,
            self.embedded_encoders if embedded else self.encoders,
            server=None if embedded else self._server,
            progress=self._progress,
            rebuild=rebuild,
            publish=publish,
        )

    @cached_property
    def _server(self) -> QdrantClient | None:
        if self.settings.qdrant_url is None:
            return None
        key = self.settings.qdrant_api_key
        return connect(self.settings.qdrant_url, key.get_secret_value() if key else None)

    # -- search --------------------------------------------------------------------------------------------------

    def as_ensemble(
        self,
        nomenclature: Nomenclature = "cim10",
        *,
        version: str | None = None,
        position: Position | None = None,
        on: date | None = None,
        group: Literal["main", "external"] = "main",
    ) -> CodeEnsembleRetriever:
        """The weighted RRF ensemble of BM25 and Qdrant, before reranking; see `as_retriever`."""
        _one_of("position", position, (*POSITIONS, None))
        if position is not None and nomenclature == "ccam":
            raise InputError(f"position={position!r} : elle ne vaut que pour la CIM-10 ; ne pas la donner pour la CCAM")
        if on is not None and nomenclature != "ccam":
            raise InputError(
                f"on={on} : les dates limitent les actes ; pour la CIM-10, donner version= (l'édition entière est en "
                "vigueur, voir `cim10(on=…)`)"
            )
        return self.ensemble_over(
            self.index(nomenclature, version, group),
            position=position,
            on=on,
            expand_vectors=nomenclature != "ccam",  # « pct » of an act is « percutané », not « procalcitonine »
        )

    def ensemble_over(
        self,
        index: CodeIndex,
        *,
        position: Position | None = None,
        on: date | None = None,
        weights: tuple[float, float] | None = None,
        encoders: Encoders | None = None,
        expand_vectors: bool = True,
    ) -> CodeEnsembleRetriever:
        """The ensemble over an open index.

        Args:
            position: only codes allowed there; on: only acts that may be coded on that day.
            weights: of BM25 and of the vectors; those of the settings when None.
            encoders: those that the index was made with; the engine's own when None.
            expand_vectors: spell abbreviations out for the vectors too, and not for BM25 alone.
        """
        settings = self.settings
        encoders = encoders or self.encoders
        allowed = None
        if position is not None or on is not None:
            allowed = np.array([_is_allowed(chunk, position, on) for chunk in index.chunks])
        # the embedded vector of a child has learned the wording that its parent lends it; other encoders have not
        groups = _OWN_WORDINGS if encoders is self.embedded_encoders else None
        lexical = FrenchBM25Retriever(
            index=index.bm25, documents=index.documents, k=settings.fetch_k, allowed=allowed, expand=self.lexicon.expand
        )
        vectors = QdrantHybridRetriever.from_index(
            index,
            encoders,
            self._vector_weights(encoders),
            k=settings.fetch_k,
            fetch_k=settings.fetch_k,
            rrf_k=settings.qdrant_rrf_k,
            query_filter=payload_filter(on, positions=position, group=groups),
            expand=self.lexicon.expand if expand_vectors else None,
        )
        return CodeEnsembleRetriever(
            retrievers=[lexical, vectors],
            weights=list(weights or (settings.bm25_weight, settings.vector_weight)),
            c=settings.rrf_k,
            k=settings.rerank_k if settings.rerank else settings.fetch_k,
        )

    def as_retriever(
        self,
        nomenclature: Nomenclature = "cim10",
        *,
        version: str | None = None,
        position: Position | None = None,
        on: date | None = None,
        k: int = 10,
        group: Literal["main", "external"] = "main",
    ) -> BaseRetriever:
        """The chain's retriever, a LangChain `BaseRetriever`: the ensemble wrapped in reranking compression.

        With `Settings(rerank=False)` it is the ensemble alone.

        Args:
            position: only codes allowed there.
            on: only acts that may be coded on that day (CCAM; an edition of CIM-10 is in force as a whole).
            k: documents given, at most; beyond `Settings.fetch_k` no leg fetches more.

        Raises:
            InputError: another nomenclature, position or group, or k below 1.
        """
        _at_least_one("k", k)
        settings = self.settings
        ensemble = self.as_ensemble(nomenclature, version=version, position=position, on=on, group=group)
        if not settings.rerank:
            return ensemble.model_copy(update={"k": k})
        depth = max(k, settings.rerank_k)
        reranker = self.reranker.model_copy(update={"top_n": depth})
        return CodeCompressionRetriever(
            base_compressor=reranker,
            base_retriever=ensemble.model_copy(update={"k": depth}),
            k=k,
            expand=None if nomenclature == "ccam" else self.lexicon.expand,
        )

    def search_icd10(
        self,
        query: str,
        top_k: int = 10,
        version: str | None = None,
        position: Position | None = None,
        external_causes: bool | None = None,
    ) -> list[CodeCandidate]:
        """CIM-10 codes for an expression, best first.

        Args:
            version: edition ("2025"); None: the newest.
            position: only codes allowed there ("dp", "dr", "das").
            external_causes: also search chapter XX; None: when the words of the query announce an external cause.

        Raises:
            EditionError: that edition is not installed.
            InputError: the query holds no word, top_k is below 1, or the position is none of the three.

        Returns:
            At most `top_k` codes, and at most `Settings.fetch_k` or so: no leg fetches more.
        """
        main = self._search(query, top_k, "cim10", version, position, "main")
        if external_causes is None:
            external_causes = bool(_EXTERNAL_CUE.search(fold(query)))
        if not external_causes or position in ("dp", "dr"):
            return main
        external = self._search(query, top_k, "cim10", version, position, "external")
        return sorted(main + external, key=lambda c: (-c.similarity_score, c.code))[:top_k]

    def search_icd10_batch(
        self,
        queries: Sequence[str],
        top_k: int = 10,
        version: str | None = None,
        position: Position | None = None,
        external_causes: bool | None = None,
    ) -> list[list[CodeCandidate]]:
        """`search_icd10` for several expressions, in their order."""
        return [self.search_icd10(query, top_k, version, position, external_causes) for query in _several(queries)]

    async def asearch_icd10(
        self,
        query: str,
        top_k: int = 10,
        version: str | None = None,
        position: Position | None = None,
        external_causes: bool | None = None,
    ) -> list[CodeCandidate]:
        """`search_icd10` off the event loop."""
        return await asyncio.to_thread(self.search_icd10, query, top_k, version, position, external_causes)

    async def asearch_icd10_batch(
        self,
        queries: Sequence[str],
        top_k: int = 10,
        version: str | None = None,
        position: Position | None = None,
        external_causes: bool | None = None,
    ) -> list[list[CodeCandidate]]:
        """`search_icd10_batch` off the event loop."""
        return await asyncio.to_thread(self.search_icd10_batch, queries, top_k, version, position, external_causes)

    def search_ccam(
        self, query: str, top_k: int = 10, version: str | None = None, on: date | None = None
    ) -> list[CodeCandidate]:
        """CCAM acts for an expression, best first; see `search_icd10`.

        Args:
            on: only acts that may be coded on that day; None: every act of the edition.
        """
        return self._search(query, top_k, "ccam", version, None, "main", on)

    def search_ccam_batch(
        self, queries: Sequence[str], top_k: int = 10, version: str | None = None, on: date | None = None
    ) -> list[list[CodeCandidate]]:
        """`search_ccam` for several expressions, in their order."""
        return [self.search_ccam(query, top_k, version, on) for query in _several(queries)]

    async def asearch_ccam(
        self, query: str, top_k: int = 10, version: str | None = None, on: date | None = None
    ) -> list[CodeCandidate]:
        """`search_ccam` off the event loop."""
        return await asyncio.to_thread(self.search_ccam, query, top_k, version, on)

    async def asearch_ccam_batch(
        self, queries: Sequence[str], top_k: int = 10, version: str | None = None, on: date | None = None
    ) -> list[list[CodeCandidate]]:
        """`search_ccam_batch` off the event loop."""
        return await asyncio.to_thread(self.search_ccam_batch, queries, top_k, version, on)

    def _search(
        self,
        query: str,
        top_k: int,
        nomenclature: Nomenclature,
        version: str | None,
        position: Position | None,
        group: Literal["main", "external"],
        on: date | None = None,
    ) -> list[CodeCandidate]:
        _checked_text("requête", query)
        _at_least_one("top_k", top_k)
        _one_of("position", position, (*POSITIONS, None))
        edition = self.cim10(version) if nomenclature == "cim10" else self.ccam(version)
        return list(self._search_cached(query, top_k, nomenclature, edition.version, position, group, on))

    def _search_uncached(
        self,
        query: str,
        top_k: int,
        nomenclature: Nomenclature,
        version: str,
        position: Position | None,
        group: Literal["main", "external"],
        on: date | None,
    ) -> tuple[CodeCandidate, ...]:
        depth = max(top_k, self.settings.rerank_k)
        key = (f"{nomenclature}-{group}", version, position, on, depth)
        with self._lock:
            if key not in self._retrievers:
                self._retrievers[key] = self.as_retriever(
                    nomenclature, version=version, position=position, on=on, k=depth, group=group
                )
            retriever = self._retrievers[key]
        return tuple(candidate(document) for document in retriever.invoke(query, k=top_k))

    # -- rules and evidence --------------------------------------------------------------------------------------

    def search_guide(self, question: str, top_k: int = 5) -> list[tuple[GuideRule, float]]:
        """Rules of the Guide méthodologique that a question in plain French is about, best first.

        Returns:
            (rule, score) with the RRF score of the ensemble divided by its maximum, in [0, 1].
        """
        _checked_text("question", question)
        _at_least_one("top_k", top_k)
        with self._lock:
            if self._guide is None:
                index = self.open_corpus(guide_corpus(), embedded=True)
                self._guide = self.ensemble_over(index, weights=(0.5, 0.5), encoders=self.embedded_encoders)
        found = self._guide.invoke(question, k=top_k)
        return [(load_guide().rule(d.metadata["code"]), float(d.metadata["fused_score"])) for d in found]

    def retrieve_eligibility_criteria(self, code: str, code_type: CodeType) -> list[EligibilityCriteria]:
        """What the Guide asks of this code in this position, most specific rule first.

        Args:
            code_type: "dp", "dr", "das" or "ccam".

        Raises:
            CodeError: not a code of the edition.
            InputError: another code_type.
        """
        return criteria_for(code, code_type, settings=self.settings)

    def score_evidence(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Calibrated probability, in [0, 1], that each passage attests its code: `[(code, passage), …]`.

        Raises:
            CodeError: a code that the edition does not hold.
        """
        edition = self.cim10()
        triples = []
        for code, passage in pairs:
            stored = Cim10Code.parse(code, edition=edition).code
            triples.append((stored, edition.entry(stored).label, passage))
        return self.evidence.score(triples)


def _one_of(name: str, given: object, allowed: Sequence[str | None]) -> None:
    if given not in allowed:
        raise InputError(f"{name}={given!r} : valeur refusée ; donner {', '.join(str(value) for value in allowed)}")


def _at_least_one(name: str, given: int) -> None:
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise InputError(f"{name}={given!r} : valeur refusée ; donner un nombre entier, 1 ou plus")


def _checked_text(name: str, given: str) -> None:
    """Refuse what is no text, or holds no word; the words are not repeated."""
    if not isinstance(given, str):
        raise InputError(f"{name} : un objet {type(given).__name__} a été donné ; donner un texte en français")
    if not given.isprintable() and any("\ud800" <= char <= "\udfff" for char in given):
        raise InputError(f"{name} illisible : ce texte n'est pas de l'UTF-8 ; vérifier l'encodage du terminal")
    if not words(given):
        raise InputError(f"{name} vide : donner une expression en français, avec au moins un mot")


def _several(queries: Sequence[str]) -> Sequence[str]:
    if isinstance(queries, str):
        raise InputError("un seul texte a été donné ; donner une liste de textes, ou appeler la recherche simple")
    return queries


def _is_allowed(chunk: Chunk, position: Position | None, on: date | None) -> bool:
    if position is not None and position not in chunk.positions:
        return False
    return on is None or chunk.facts[VALID_FROM] <= day_number(on) <= chunk.facts[VALID_TO]


def candidate(document: Document) -> CodeCandidate:
    """A retrieved document as the contract's value."""
    metadata = document.metadata
    reranked = metadata.get("relevance_score")
    score = metadata["fused_score"] if reranked is None else Similarity.from_package().score(reranked)
    stages = [name.removesuffix("_rank") for name in metadata if name.endswith("_rank") and name != "relevance_rank"]
    ranks = {stage: int(metadata[f"{stage}_rank"]) for stage in stages}
    scores = {stage: float(metadata[f"{stage}_score"]) for stage in stages}
    if reranked is not None:
        scores["reranked"] = float(reranked)
        ranks["reranked"] = int(metadata["relevance_rank"])
    leg: Literal["bm25", "vector"] = "vector" if "vector" in ranks else "bm25"
    return CodeCandidate(
        code=metadata["code"],
        label=metadata["label"],
        similarity_score=score,
        source=leg if reranked is None else "reranked",
        chunk_id=metadata["chunk_id"],
        chunk_text=document.page_content,
        version=metadata["edition"],
        ranks=ranks,
        scores=scores,
    )
