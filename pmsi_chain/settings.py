"""The one reader of the environment: `Settings(PMSI_*)`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _default_state_dir() -> Path:
    return Path(platformdirs.user_cache_dir("pmsi_chain", appauthor=False))


class Settings(BaseSettings):
    """Everything that can be set, each by keyword or by the environment variable `PMSI_<NAME>`.

    Attributes:
        state_dir: the one directory for indexes, caches and installed editions.
        edition: CIM-10 edition to use whatever the stay's date ("2025"); None: the one in force on that date.
        max_report_chars: longest report accepted, in characters.
        rrf_k: the constant of reciprocal rank fusion in the ensemble: the smaller, the more the first ranks count.
        qdrant_rrf_k: that of Qdrant's own fusion of the vectors, whose weights divide ranks.
        bm25_weight, vector_weight: weights of the two legs in the ensemble; only their ratio counts.
        sparse_weight: weight of the sparse vectors beside the dense ones (1) inside the Qdrant leg.
        bge_m3: directory of BGE-M3's weights, or its name on the hub, which downloads them (extra `[bge-m3]`); its
            dense and lexical vectors then search the nomenclatures. None: the embedded encoders.
        bge_m3_device: where it runs: "cpu", "cuda" or "cuda:0".
        fetch_k: documents fetched per leg before fusion.
        rerank_k: fused candidates that the reranker reads.
        rerank: False leaves the fused order as it is.
        context_reader: who reads negation, hypothesis, family and history: the project's cues ("embedded"), EDS-NLP's
            ("edsnlp", some four seconds more at the start), or "both", where the flag of either holds.
        code_threshold: probability from which a code is proposed by itself, in [0, 1].
        review_threshold: probability from which it is listed for review, in [0, 1].
        automatic_threshold: confidence, in [0, 1], from which a proposed code is marked automatic rather than to be
            confirmed: from the default on, nine codes in ten are right (`pmsi-chain bench coding`).
        qdrant_url, qdrant_api_key: a Qdrant server or cluster; None: the in-process engine on `state_dir`.
        llm_base_url, llm_model, llm_api_key: an OpenAI-compatible endpoint, used only with `llm=True` or `--llm`.
        llm_timeout_s: longest silence of the endpoint, in seconds, before a call is given up.
        llm_max_retries: tries after a 429, a 5xx, a timeout or a lost connection, with exponential back-off.
        llm_max_concurrency: calls in flight at once in this process.
        llm_token_budget: size of a prompt, in estimated tokens; a longer report is cut by section, and says so.
        llm_max_output_tokens: longest answer, in tokens; more is refused as a runaway generation.
        llm_structured: how the endpoint is asked for a typed answer; "auto" tries JSON schema, tool call, JSON mode.
        llm_send_identified: sends the report as it is to an endpoint that is not on this machine, with names,
            dates and identifiers; otherwise it is pseudonymised first.
        allow_tracing: lets LangSmith tracing variables stand in the environment, which sends texts away.
        audit_log: file that gets one JSON line per coding and per question to a language model: who asked, hashes,
            prompt, model, decisions; where it cannot be written nothing is coded. None: no log.
        audit_text: writes reports, questions and stay ids there too, not only their hashes.
        audit_user_header: request header of `pmsi-chain serve` that names the user there, where a proxy in front of it
            has checked who asks and sets it; None: the address stands for the user.
        api_key: what clients of `pmsi-chain serve` must send; None: no key, on this machine's own address only.
        rate_limit_per_minute: requests that one address may make to it in a minute; None: no limit.
        max_body_bytes: longest request it reads, in bytes; above all a batch of reports.
    """

    model_config = SettingsConfigDict(env_prefix="PMSI_", frozen=True, extra="forbid", hide_input_in_errors=True)

    state_dir: Path = Field(default_factory=_default_state_dir)
    edition: str | None = None
    max_report_chars: int = Field(default=400_000, ge=1)
    rrf_k: int = Field(default=5, ge=1)
    qdrant_rrf_k: int = Field(default=2, ge=1)
    bm25_weight: float = Field(default=0.1, ge=0.0)
    vector_weight: float = Field(default=0.9, ge=0.0)
    sparse_weight: float = Field(default=0.2, ge=0.0)
    bge_m3: str | None = None
    bge_m3_device: str = "cpu"
    fetch_k: int = Field(default=60, ge=1)
    rerank_k: int = Field(default=48, ge=1)
    rerank: bool = True
    context_reader: Literal["embedded", "edsnlp", "both"] = "embedded"
    code_threshold: float = Field(default=0.7, ge=0.0, le=1.0)
    review_threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    automatic_threshold: float = Field(default=0.75, ge=0.0, le=1.0)
    qdrant_url: str | None = None
    qdrant_api_key: SecretStr | None = None
    llm_base_url: str | None = None
    llm_model: str | None = None
    llm_api_key: SecretStr | None = None
    llm_timeout_s: float = Field(default=60.0, gt=0.0)
    llm_max_retries: int = Field(default=3, ge=0)
    llm_max_concurrency: int = Field(default=4, ge=1)
    llm_token_budget: int = Field(default=16_000, ge=2_000)
    llm_max_output_tokens: int = Field(default=3_000, ge=64)
    llm_structured: Literal["auto", "json_schema", "function_calling", "json_mode"] = "auto"
    llm_send_identified: bool = False
    allow_tracing: bool = False
    audit_log: Path | None = None
    audit_text: bool = False
    audit_user_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    api_key: SecretStr | None = Field(default=None, min_length=1)
    rate_limit_per_minute: int | None = Field(default=None, ge=1)
    max_body_bytes: int = Field(default=8_000_000, ge=1_000)
