"""The engine and the chain as LangChain tools.

They are ready for `langchain.agents.create_agent` or any other framework that reads LangChain tools. Each gives a
short JSON text for the model and, as its artifact, the values of `pmsi_chain.domain` for a program.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pmsi_chain.checking import check_coding
from pmsi_chain.codes import CCAM_STORED, CcamCode, Cim10Code, cim10_display
from pmsi_chain.domain import (
    CodeCandidate,
    CodedAct,
    CodedDiagnosis,
    CodeType,
    Coding,
    EligibilityCriteria,
    Finding,
    Position,
    Sex,
    Stay,
)
from pmsi_chain.errors import CodeError, PmsiChainError
from pmsi_chain.problems import problems_line
from pmsi_chain.settings import Settings

if TYPE_CHECKING:
    from pmsi_chain.nomenclature import CcamEdition, Cim10Edition

MAX_NEIGHBOURS = 12
MAX_REVIEW = 10


class CodingEngine(Protocol):
    """What the tools need of `pmsi_chain.engine.RAGEngine`."""

    settings: Settings

    def cim10(self, version: str | None = None, on: date | None = None) -> Cim10Edition:
        """The CIM-10 edition."""

    def ccam(self, version: str | None = None, on: date | None = None) -> CcamEdition:
        """The CCAM edition."""

    def search_icd10(
        self, query: str, top_k: int = 10, version: str | None = None, position: Position | None = None
    ) -> list[CodeCandidate]:
        """CIM-10 codes for an expression."""

    def search_ccam(self, query: str, top_k: int = 10, version: str | None = None) -> list[CodeCandidate]:
        """CCAM acts for an expression."""

    def retrieve_eligibility_criteria(self, code: str, code_type: CodeType) -> list[EligibilityCriteria]:
        """What the Guide asks."""


class _Args(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class SearchIcd10Args(_Args):
    """Arguments of `search_icd10`."""

    query: str = Field(min_length=1, max_length=500, description="Expression clinique en français, telle quelle.")
    top_k: int = Field(default=5, ge=1, le=20, description="Nombre de codes à rendre.")
    position: Position | None = Field(default=None, description="Seulement les codes permis en dp, dr ou das.")
    version: str | None = Field(default=None, description="Édition (« 2025 ») ; la plus récente par défaut.")


class SearchCcamArgs(_Args):
    """Arguments of `search_ccam`."""

    query: str = Field(min_length=1, max_length=500, description="Acte en français, abrégé ou non.")
    top_k: int = Field(default=5, ge=1, le=20, description="Nombre d'actes à rendre.")
    version: str | None = Field(default=None, description="Édition ; la plus récente par défaut.")


class GetCodeArgs(_Args):
    """Arguments of `get_code`."""

    code: str = Field(min_length=3, max_length=32, description="Code CIM-10 (« E44.0 ») ou CCAM (« HHFA016 »).")


class EligibilityArgs(_Args):
    """Arguments of `retrieve_eligibility_criteria`."""

    code: str = Field(min_length=3, max_length=32, description="Code CIM-10 ou CCAM.")
    code_type: CodeType = Field(description="Position visée : dp, dr, das ; ou ccam pour un acte.")


class _StayArgs(_Args):
    sex: Sex | None = Field(default=None, description="F ou M.")
    age: int | None = Field(default=None, ge=0, le=130, description="Âge en années à l'entrée.")
    discharge_date: date | None = Field(default=None, description="Date de sortie (AAAA-MM-JJ) : choisit l'édition.")


class CheckCodingArgs(_StayArgs):
    """Arguments of `check_coding`."""

    dp: str | None = Field(default=None, description="Diagnostic principal.")
    dr: str | None = Field(default=None, description="Diagnostic relié, s'il y en a un.")
    das: list[str] = Field(default_factory=list, max_length=99, description="Diagnostics associés significatifs.")
    acts: list[str] = Field(default_factory=list, max_length=99, description="Actes CCAM.")
    report: str | None = Field(default=None, description="Compte rendu, s'il est connu : davantage est vérifié.")


class CodeReportArgs(_StayArgs):
    """Arguments of `code_report`."""

    report: str = Field(min_length=1, description="Compte rendu d'hospitalisation, en entier.")


#: Names of arguments, which may be told; what else a model wrote may be a word of a report.
_ARGUMENTS = frozenset(
    name
    for args in (SearchIcd10Args, SearchCcamArgs, GetCodeArgs, EligibilityArgs, CheckCodingArgs, CodeReportArgs)
    for name in args.model_fields
)


def coding_tools(engine: CodingEngine, chain: Runnable[Any, Coding] | None = None) -> list[BaseTool]:
    """The tools over an engine; `code_report` is among them when a coding chain is given.

    Errors of the package come back as the tool's answer, so that a model can mend its call; they never hold a word of
    a report.
    """

    def search_icd10(
        query: str, top_k: int = 5, position: Position | None = None, version: str | None = None
    ) -> tuple[str, list[CodeCandidate]]:
        found = engine.search_icd10(query, top_k=top_k, version=version, position=position)
        edition = engine.cim10(version)
        results = [_candidate(c) | {"positions": list(edition.positions(c.code))} for c in found]
        return _json({"edition": edition.version, "resultats": results}), found

    def search_ccam(query: str, top_k: int = 5, version: str | None = None) -> tuple[str, list[CodeCandidate]]:
        found = engine.search_ccam(query, top_k=top_k, version=version)
        return _json({"edition": engine.ccam(version).version, "resultats": [_candidate(c) for c in found]}), found

    def get_code(code: str) -> tuple[str, dict[str, Any]]:
        is_act = CCAM_STORED.match("".join(code.split()).upper()) is not None
        told = _ccam_card(code, engine.ccam()) if is_act else _cim10_card(code, engine.cim10())
        return _json(told), told

    def retrieve_eligibility_criteria(code: str, code_type: CodeType) -> tuple[str, list[EligibilityCriteria]]:
        found = engine.retrieve_eligibility_criteria(code, code_type)
        return _json({"position": code_type, "criteres": [_criterion(c) for c in found]}), found

    def check(
        dp: str | None = None,
        dr: str | None = None,
        das: Iterable[str] = (),
        acts: Iterable[str] = (),
        report: str | None = None,
        sex: Sex | None = None,
        age: int | None = None,
        discharge_date: date | None = None,
    ) -> tuple[str, list[Finding]]:
        stay = Stay(text=report or "", sex=sex, age=age, discharge_date=discharge_date)
        known = report or sex or age is not None or discharge_date
        coding = {"dp": dp, "dr": dr, "das": list(das), "acts": list(acts)}
        found = check_coding(coding, stay if known else None, engine.settings)
        blocking = any(finding.severity == "blocking" for finding in found)
        return _json({"bloquant": blocking, "constats": [_finding(f) for f in found]}), found

    tools = [
        _tool(
            search_icd10,
            "search_icd10",
            "Cherche des codes CIM-10 FR-PMSI à partir d'une expression clinique, les plus proches d'abord.",
            SearchIcd10Args,
        ),
        _tool(
            search_ccam,
            "search_ccam",
            "Cherche des actes CCAM à partir d'un libellé, abrégé ou non, les plus proches d'abord.",
            SearchCcamArgs,
        ),
        _tool(
            get_code,
            "get_code",
            "Dit ce qu'est un code CIM-10 ou CCAM : libellé, hiérarchie, notes d'inclusion et d'exclusion, positions "
            "permises, codes voisins.",
            GetCodeArgs,
        ),
        _tool(
            retrieve_eligibility_criteria,
            "retrieve_eligibility_criteria",
            "Donne les règles du Guide méthodologique pour un code dans une position, la plus précise d'abord, avec "
            "leur source.",
            EligibilityArgs,
        ),
        _tool(
            check,
            "check_coding",
            "Vérifie un codage complet (DP, DR, DAS, actes) : codes inconnus ou interdits, positions, exclusions, "
            "règles du Guide.",
            CheckCodingArgs,
        ),
    ]
    if chain is not None:
        tools.append(_code_report_tool(chain))
    return tools


def _tool(call: Callable[..., tuple[str, Any]], name: str, description: str, args: type[BaseModel]) -> BaseTool:
    def guarded(**values: Any) -> tuple[str, Any]:
        try:
            return call(**values)
        except PmsiChainError as error:
            raise ToolException(_refusal(error)) from None

    return StructuredTool.from_function(
        guarded,
        name=name,
        description=description,
        args_schema=args,
        response_format="content_and_artifact",
        handle_tool_error=True,
        handle_validation_error=_wrong_arguments,
    )


def _code_report_tool(chain: Runnable[Any, Coding]) -> BaseTool:
    def code_report(
        report: str, sex: Sex | None = None, age: int | None = None, discharge_date: date | None = None
    ) -> tuple[str, Coding]:
        coding = chain.invoke(Stay(text=report, sex=sex, age=age, discharge_date=discharge_date))
        return _json(_coding(coding)), coding

    return _tool(
        code_report,
        "code_report",
        "Code un compte rendu d'hospitalisation entier : DP, DR, DAS et actes, chacun avec sa preuve, sa règle et ce "
        "qui reste à vérifier.",
        CodeReportArgs,
    )


def _refusal(error: PmsiChainError) -> str:
    """An error of ours for a model: its message, then the legal neighbours of a refused code."""
    nearest = error.nearest if isinstance(error, CodeError) else ()
    near = f" Codes voisins : {', '.join(cim10_display(code) for code in nearest)}." if nearest else ""
    return f"Refusé : {error}.{near}".replace("..", ".")


def _wrong_arguments(error: ValidationError | Any) -> str:
    """Which arguments are wrong, without their values: one of them may be a report."""
    if not isinstance(error, ValidationError):
        return "Arguments refusés : forme inattendue. Corrige l'appel."
    problems = error.errors(include_input=False, include_url=False)
    return f"Arguments refusés : {problems_line(problems, _ARGUMENTS, 'arguments')}. Corrige l'appel."


def _json(told: Any) -> str:
    return json.dumps(told, ensure_ascii=False)


def _candidate(candidate: CodeCandidate) -> dict[str, Any]:
    return {
        "code": cim10_display(candidate.code) if not CCAM_STORED.fullmatch(candidate.code) else candidate.code,
        "libelle": candidate.label,
        "score": round(candidate.similarity_score, 3),
    }


def _cim10_card(code: str, edition: Cim10Edition) -> dict[str, Any]:
    """All that the edition says of a code, and its surroundings."""
    stored = Cim10Code.parse(code, edition=edition).code
    entry = edition.entry(stored)

    def named(codes: Iterable[str]) -> list[str]:
        return [f"{cim10_display(c)} {edition.entry(c).label}" for c in codes]

    return {
        "code": entry.display,
        "libelle": entry.label,
        "edition": edition.version,
        "chapitre": entry.chapter,
        "type_mco": entry.type_mco,
        "positions": list(edition.positions(stored)),
        "supprime": entry.deleted,
        "parents": named(edition.ancestors(stored)),
        "sous_codes": named(edition.children(stored)[:MAX_NEIGHBOURS]),
        "voisins": named(edition.siblings(stored)[:MAX_NEIGHBOURS]),
        "comprend": list(entry.inclusion_notes),
        "exclut": list(entry.exclusion_notes),
    }


def _ccam_card(code: str, edition: CcamEdition) -> dict[str, Any]:
    stored = CcamCode.parse(code, edition=edition).code
    entry = edition.entry(stored)
    return {
        "code": entry.code,
        "libelle": entry.label,
        "edition": edition.version,
        "chapitre": entry.chapter,
        "activites": list(entry.activities),
        "phases": list(entry.phases),
        "sexe": entry.sex,
        "valable_du": entry.valid_from.isoformat() if entry.valid_from else None,
        "valable_au": entry.valid_to.isoformat() if entry.valid_to else None,
        "synonymes": list(entry.synonyms),
        "notes": list(entry.notes),
    }


def _criterion(criterion: EligibilityCriteria) -> dict[str, Any]:
    return {
        "regle": criterion.rule_id,
        "critere": criterion.criteria_text,
        "exclusions": list(criterion.exclusion_rules),
        "ordre": list(criterion.hierarchization_rules),
        "precision": criterion.specificity,
        "source": criterion.guide_section,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "gravite": finding.severity,
        "message": finding.message,
        "codes": list(finding.codes),
        "regle": finding.rule_id,
        "source": finding.source,
    }


def _coding(coding: Coding) -> dict[str, Any]:
    """A coding as a model needs it: one proof per code, no offsets, no trace."""

    def diagnosis(coded: CodedDiagnosis) -> dict[str, Any]:
        return line(coded) | {"a_confirmer": not coded.automatic}

    def line(coded: CodedDiagnosis | CodedAct) -> dict[str, Any]:
        return {
            "code": coded.display if isinstance(coded, CodedDiagnosis) else coded.code,
            "libelle": coded.label,
            "confiance": round(coded.confidence, 2),
            "preuve": coded.evidence[0].quote,
            "regle": coded.rule_source,
            "raisons": list(coded.reasons),
        }

    return {
        "dp": diagnosis(coding.dp) if coding.dp else None,
        "dr": diagnosis(coding.dr) if coding.dr else None,
        "das": [diagnosis(d) for d in coding.das],
        "actes": [line(a) | {"a_completer": list(a.missing)} for a in coding.acts],
        "constats": [_finding(f) for f in coding.findings],
        "a_revoir": [
            {"code": r.display, "libelle": r.label, "position": r.position, "motif": r.reason}
            for r in coding.to_review[:MAX_REVIEW]
        ],
        "decide_par": coding.trace.decided_by,
    }
