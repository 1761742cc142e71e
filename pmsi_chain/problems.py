"""What pydantic refuses, told in French on one line: which field, what was expected, never what was given."""

from __future__ import annotations

import errno
from collections.abc import Collection, Mapping, Sequence
from typing import Any

_MAX_PROBLEMS = 3
_WHOLE = "un nombre entier était attendu"
_NUMBER = "un nombre était attendu"
_DATE = "une date AAAA-MM-JJ était attendue"
_OBJECT = "un objet (champs et valeurs) était attendu"
_LIST = "une liste était attendue"
_TOLD = {
    "missing": "obligatoire, et absent",
    "extra_forbidden": "champ inconnu",
    "string_type": "un texte était attendu",
    "string_too_short": "au moins {min_length} caractère(s)",
    "string_too_long": "au plus {max_length} caractères",
    "string_pattern_mismatch": "forme inattendue",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": "true ou false était attendu",
    "bool_parsing": "true ou false était attendu",
    "greater_than": "plus de {gt}",
    "greater_than_equal": "au moins {ge}",
    "less_than": "moins de {lt}",
    "less_than_equal": "au plus {le}",
    "literal_error": "attendu : {expected}",
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "too_long": "au plus {max_length} éléments",
    "too_short": "au moins {min_length} élément(s)",
    "path_type": "un chemin était attendu",
    "json_invalid": "JSON illisible",
}


def told(problem: Mapping[str, Any]) -> str:
    """One of `ValidationError.errors(include_input=False)`, in French; a validator of ours is told in its own words."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return str(problem["msg"]).partition(", ")[2] or "valeur refusée"
    if kind not in _TOLD:
        return "valeur refusée"
    shown = {name: str(value).replace(" or ", " ou ") for name, value in context.items()}
    try:
        return _TOLD[kind].format(**shown)
    except KeyError:
        return "valeur refusée"


#: What the system refuses, by its number.
_CAUSES = {
    errno.ENOENT: "fichier absent",
    errno.EISDIR: "c'est un dossier",
    errno.ENOTDIR: "le chemin passe par un fichier",
    errno.EACCES: "accès refusé",
    errno.EPERM: "accès refusé",
    errno.ENOSPC: "disque plein",
    errno.EROFS: "disque en lecture seule",
    errno.ENAMETOOLONG: "nom trop long",
}


def cause(error: OSError) -> str:
    """Why the system refused, in French where it is one of the usual reasons."""
    return _CAUSES.get(error.errno or 0, error.strerror or type(error).__name__)


def problems_line(problems: Sequence[Any], known: Collection[str], whole: str = "entrée") -> str:
    """The first problems on one line, without the input.

    Args:
        problems: `ValidationError.errors(...)`.
        known: field names that may be told; a key that the caller made up may be a word of a report.
        whole: what to call the value itself.
    """

    def place(location: Sequence[Any]) -> str:
        parts = [str(part) if isinstance(part, int) or part in known else "une clé" for part in location]
        return ".".join(parts) or whole

    return " ; ".join(f"{place(p['loc'])} : {told(p)}" for p in problems[:_MAX_PROBLEMS])
