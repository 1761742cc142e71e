"""What the Guide asks of a code in a position, from the most specific rule to the most general."""

from __future__ import annotations

from functools import lru_cache

from pmsi_chain.domain import CodeType, EligibilityCriteria, Position
from pmsi_chain.rules.expressions import chapter_of, expression, stored
from pmsi_chain.rules.guide import Guide, GuideRule, Match, Role, load_guide
from pmsi_chain.rules.protocols import DiagnosisEdition

#: Roles that speak for or against a position; "governs" applies in every position.
_ROLES: dict[Position, frozenset[Role]] = {
    "dp": frozenset({"dp", "forbidden_dp", "forbidden", "forbidden_together", "governs"}),
    "dr": frozenset({"dr", "forbidden_dr", "forbidden", "forbidden_together", "governs"}),
    "das": frozenset({"das", "forbidden_das", "forbidden", "forbidden_together", "governs"}),
}
_FORBIDS: dict[Role, str] = {
    "forbidden": "Code à ne pas employer dans ce cas.",
    "forbidden_dp": "Interdit en DP.",
    "forbidden_dr": "Interdit en DR.",
    "forbidden_das": "Interdit en DAS dans ce cas.",
}


def eligibility(code: str, code_type: CodeType, edition: DiagnosisEdition | None = None) -> list[EligibilityCriteria]:
    """The rules that apply to a code in a position.

    Args:
        code: CIM-10 (dot or not) or CCAM code; it need not exist.
        code_type: "dp", "dr", "das" or "ccam".
        edition: when given, the first entry says what the edition's type MCO makes of the position.

    Returns:
        One entry per rule, by specificity: code, category, range, chapter, all; then in the order of the Guide.
    """
    guide = load_guide()
    key = code.strip().upper() if code_type == "ccam" else stored(code)
    if code_type == "ccam":
        matches = guide.matching(key, "ccam")
        return [_criteria(key, code_type, match) for match in matches] + [
            _general(key, code_type, rule) for rule in guide.rules if rule.id.startswith("CCAM-")
        ]
    wanted = _ROLES[code_type]
    found = [_criteria(key, code_type, match) for match in guide.matching(key) if match.roles & wanted]
    return found if edition is None else [_legality(key, code_type, edition), *found]


def position_rule(position: Position, code: str, dp_code: str | None = None) -> GuideRule:
    """The rule that puts a code in a position in general; always one, so that every coded item cites a rule.

    The most specific rule that gives the code this position wins; situation rules of ch. VI come before the
    definitions of ch. IV; a code that a rule only gives as an example does not count.

    Args:
        dp_code: for a DR, the DP it stands behind.
    """
    return _position_rule(position, stored(code), stored(dp_code) if dp_code else None)


@lru_cache(maxsize=8192)
def _position_rule(position: Position, key: str, dp: str | None) -> GuideRule:
    guide = load_guide()
    if position == "das":
        return _best(guide, key, "das") or guide.rule("GM2026-IV-DAS-01")
    if position == "dr":
        for match in guide.matching(dp) if dp else ():
            if match.specificity in ("code", "category") and "dp" in match.roles and match.rule.matches(key, "dr"):
                return match.rule
        if dp and guide.rule("GM2026-V-Z-37").matches(dp, "context"):
            return guide.rule("GM2026-V-Z-37")
        if dp and guide.rule("GM2026-VI-S1").matches(dp, "dp"):
            return guide.rule("GM2026-VI-S1")
        return guide.rule("GM2026-IV-DR-01")
    general = {"XVIII": "GM2026-VI-D2", "XXI": "GM2026-IV-DP-03"}.get(chapter_of(key) or "", "GM2026-VI-D1")
    return _best(guide, key, "dp") or guide.rule(general)


def _legality(key: str, position: Position, edition: DiagnosisEdition) -> EligibilityCriteria:
    entry = edition.get(key)
    name = position.upper()
    rule = load_guide().rule("CIM10-CODE-03" if entry and entry.type_mco != 3 else "CIM10-CODE-01")
    if entry is None:
        text = f"{key} n'existe pas dans l'édition {edition.version}."
    elif edition.is_allowed(key, position):
        text = f"Type MCO {entry.type_mco} : admis en {name} (édition {edition.version})."
    else:
        rule = load_guide().rule("CIM10-CODE-02") if entry.type_mco == 3 else rule
        text = f"Type MCO {entry.type_mco} : interdit en {name} (édition {edition.version})."
    return EligibilityCriteria(
        code=key, code_type=position, criteria_text=text, guide_section=rule.citation, rule_id=rule.id,
        edition=edition.version, specificity="code",
    )  # fmt: skip


def _best(guide: Guide, key: str, role: Role) -> GuideRule | None:
    found: list[tuple[tuple[int, int], bool, int, GuideRule]] = []
    for place, rule in enumerate(guide.rules):
        for item in rule.codes:
            parsed = expression(item.expr)
            if item.role == role and item.centrality == "subject" and parsed.nomenclature == "cim10":
                level, rank = parsed.closeness(key) if parsed.matches(key) else ("all", (9, 0))
                if level in ("code", "category", "range"):
                    found.append((rank, rule.chapter != "VI", place, rule))
    return min(found, key=lambda hit: hit[:3])[3] if found else None


def _criteria(key: str, code_type: CodeType, match: Match) -> EligibilityCriteria:
    rule = match.rule
    forbids = tuple(_FORBIDS[role] for role in _roles(match, code_type) if role in _FORBIDS)
    together = _together(rule, key) if "forbidden_together" in match.roles else ()
    return EligibilityCriteria(
        code=key,
        code_type=code_type,
        criteria_text=_text(rule),
        exclusion_rules=forbids + together + rule.exclusion_rules,
        hierarchization_rules=rule.hierarchization_rules,
        guide_section=_section(rule),
        rule_id=rule.id,
        edition=rule.edition,
        page=rule.page,
        specificity=match.specificity,
    )


def _roles(match: Match, code_type: CodeType) -> tuple[Role, ...]:
    wanted = match.roles if code_type == "ccam" else _ROLES[code_type]
    return tuple(sorted(match.roles & wanted))


def _general(key: str, code_type: CodeType, rule: GuideRule) -> EligibilityCriteria:
    return EligibilityCriteria(
        code=key, code_type=code_type, criteria_text=_text(rule), exclusion_rules=rule.exclusion_rules,
        hierarchization_rules=rule.hierarchization_rules, guide_section=_section(rule), rule_id=rule.id,
        edition=rule.edition, page=rule.page, specificity="all",
    )  # fmt: skip


def _text(rule: GuideRule) -> str:
    hole = (f"[Lacune du Guide : {rule.hole}]",) if rule.hole and rule.basis == "read" else ()
    return " ".join((rule.statement, *rule.conditions, *hole))


def _section(rule: GuideRule) -> str:
    return rule.citation if rule.basis == "read" else f"{rule.citation} (point non lu dans les extraits)"


def _together(rule: GuideRule, key: str) -> tuple[str, ...]:
    others = [expr for expr in rule.expressions("forbidden_together") if not expression(expr).matches(key)]
    return (f"Ne va pas avec : {', '.join(others)}.",) if others else ()
