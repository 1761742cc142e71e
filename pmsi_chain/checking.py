"""Ask the Guide about a code or a whole coding, ours or anyone's: the rules with the installed editions at hand."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pmsi_chain.codes import CcamCode, Cim10Code
from pmsi_chain.domain import CodeType, Coding, EligibilityCriteria, Finding, Rum, RumAct, Stay
from pmsi_chain.errors import InputError, SourceFileError
from pmsi_chain.nomenclature import load_ccam, load_cim10
from pmsi_chain.problems import cause, problems_line
from pmsi_chain.rules import check, eligibility
from pmsi_chain.settings import Settings

CODE_TYPES: tuple[CodeType, ...] = ("dp", "dr", "das", "ccam")


def criteria_for(
    code: str, code_type: CodeType, version: str | None = None, settings: Settings | None = None
) -> list[EligibilityCriteria]:
    """What the Guide asks of this code in this position, most specific rule first.

    Args:
        code: any notation a person writes.
        code_type: "dp", "dr", "das" or "ccam".
        version: CIM-10 edition; None: the newest.

    Raises:
        CodeError: not a code of the edition; of an act where no official CCAM is installed, not its notation.
        InputError: another code_type.
    """
    if code_type not in CODE_TYPES:
        raise InputError(f"position {code_type!r} : valeur refusée ; donner {', '.join(CODE_TYPES)}")
    if code_type == "ccam":
        return eligibility(CcamCode.parse(code).code, "ccam")
    settings = settings or Settings()
    edition = load_cim10(version or settings.edition, state_dir=settings.state_dir)
    return eligibility(Cim10Code.parse(code, edition=edition).code, code_type, edition)


def check_coding(
    coding: Coding | Rum | dict[str, Any], stay: Stay | None = None, settings: Settings | None = None
) -> list[Finding]:
    """Check a coding against the nomenclatures in force at discharge and the Guide.

    Args:
        coding: a `Coding` of ours, a `Rum`, or a mapping with `dp`, `dr`, `das`, `acts`.
        stay: its report, sex, age and dates, where known: more can be checked with them.

    Returns:
        Findings, blocking ones first. A wrong coding is a finding, not an exception.

    Raises:
        EditionError: no edition in force on the discharge date.
        InputError: the mapping is no coding, or another object was given.
    """
    if not isinstance(coding, Coding | Rum | dict):
        raise InputError(
            f"un objet {type(coding).__name__} n'est pas un codage ; donner un Coding, un Rum ou {{dp, das…}}"
        )
    if stay is not None and not isinstance(stay, Stay):
        raise InputError(f"stay : un objet {type(stay).__name__} a été donné ; donner un Stay, ou None")
    if isinstance(coding, dict):
        try:
            coding = Rum.model_validate(coding)
        except ValidationError as error:
            raise InputError(f"pas un codage ({_problems(error)}) ; attendu : dp, dr, das (codes) et acts") from None
    settings = settings or Settings()
    on: date | None = stay.discharge_date if stay else None
    edition = load_cim10(settings.edition, on=on, state_dir=settings.state_dir)
    ccam = load_ccam(None, on=on, state_dir=settings.state_dir)
    return check(coding, stay, edition, ccam)


def read_coding(path: str | Path) -> Coding | Rum:
    """A coding from a JSON file: what `pmsi-chain code --json` prints, or bare codes.

    Raises:
        SourceFileError: unreadable, no JSON, or neither of the two.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SourceFileError(f"{path} : lecture impossible ({cause(error)}) ; donner un fichier JSON") from None
    except (ValueError, RecursionError) as error:
        raise SourceFileError(
            f"{path} : pas du JSON ({type(error).__name__}) ; donner celui de `code --json`"
        ) from None
    try:
        if isinstance(data, dict) and "trace" in data:
            return Coding.model_validate(data)
        return Rum.model_validate(data)
    except ValidationError as error:
        raise SourceFileError(f"{path} : pas un codage ({_problems(error)}) ; attendu : dp, dr, das et acts") from None


def _problems(error: ValidationError) -> str:
    problems = error.errors(include_input=False, include_url=False)
    return problems_line(problems, {*Coding.model_fields, *Rum.model_fields, *RumAct.model_fields}, "codage")
