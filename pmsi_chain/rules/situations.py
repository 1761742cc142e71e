"""The situation clinique (Guide méthodologique MCO, ch. VI): from the facts of a stay to one rule, a DP and a DR.

A decision procedure, not a model: each question is asked in the Guide's order, each answer names the fact and the
words that gave it, and a fact that is not documented is said to be so, with the rule of the other branch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pmsi_chain.rules.situation_facts import Followed, Found, Obstetric, SituationFacts
from pmsi_chain.rules.treatments import TreatmentMotive, treatment


class Role(StrEnum):
    """Which fact a position of the decision is taken from."""

    SYMPTOM = "symptôme"
    KNOWN = "maladie connue"
    FOUND = "affection établie pendant le séjour"
    SUSPECTED = "suspicion écartée"
    HISTORY = "antécédent ou facteur de risque"
    CANCEL_CAUSE = "cause de l'annulation"
    OTHER_PROBLEM = "l'autre problème"
    Z_CODE = "code Z de la prise en charge"
    IMPOSED = "code imposé"
    NONE = "aucun"


@dataclass(frozen=True)
class SituationDecision:
    """One rule of ch. VI (or V) and what it makes of the facts.

    Attributes:
        rule_id: the rule; None when the facts do not allow a choice.
        dp_role, dr_role: where DP and DR come from.
        dp, dr: the condition as the facts name it, or None.
        dp_codes: code expressions imposed or allowed as DP.
        das: conditions that become DAS; das_codes: code expressions that go with the rule.
        steps: the questions in order, each with its answer and the words that decided it.
        alternatives: for each fact not documented, the other branch.
        rum: False when no RUM is to be produced.
    """

    rule_id: str | None
    dp_role: Role = Role.NONE
    dp: str | None = None
    dp_codes: tuple[str, ...] = ()
    dr_role: Role = Role.NONE
    dr: str | None = None
    das: tuple[str, ...] = ()
    das_codes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    rum: bool = True


@dataclass
class _Walk:
    """The questions asked so far."""

    facts: SituationFacts
    steps: list[str] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)

    def ask(self, question: str, name: str, otherwise: str = "") -> bool:
        """Whether a fact holds; an undocumented one is noted with its other branch."""
        value = getattr(self.facts, name)
        if value is None:
            if otherwise:
                self.steps.append(f"{question} : non documenté")
                self.alternatives.append(f"{question} : non documenté ; si oui, {otherwise}")
            return False
        if value is False:
            self.steps.append(f"{question} : non{self._words(name)}")
            return False
        shown = "oui" if value is True else str(value)
        if name in ("treatment", "exam"):
            shown = treatment(shown).label
        self.steps.append(f"{question} : {shown}{self._words(name)}")
        return True

    def _words(self, name: str) -> str:
        words = self.facts.words.get(name)
        return f" (« {words} »)" if words else ""

    def end(self, rule_id: str, **parts: object) -> SituationDecision:
        """The decision, with the path that led to it."""
        return SituationDecision(
            rule_id,
            steps=tuple(self.steps),
            alternatives=tuple(self.alternatives),
            **parts,  # type: ignore[arg-type]
        )


def decide_situation(facts: SituationFacts) -> SituationDecision:
    """One rule for a stay, with where its DP and DR come from.

    The order is the Guide's logic: what was planned and not done (1.6), imposed situations (obstetrics, D3, T11),
    surveillance (1.3), treatment of a condition already diagnosed (1.2), then diagnosis (1.1); several problems (1.5)
    only when the facts hold two.
    """
    walk = _Walk(facts)
    for branch in (_several, _cancelled, _obstetric, _imposed_exam, _special, _palliative, _staging, _surveillance):
        decision = branch(walk)
        if decision is not None:
            return decision
    return _treatment(walk) or _diagnosis(walk)


def _several(walk: _Walk) -> SituationDecision | None:
    facts = walk.facts
    if facts.other_problem is None:
        return None
    walk.ask("Second problème ayant motivé l'admission", "other_problem")
    if facts.heavier == "equal":
        walk.ask("Prises en charge équivalentes", "heavier")
        return walk.end("GM2026-VI-M2", dp_role=Role.FOUND, dp=facts.found or facts.known, das=(facts.other_problem,))
    if walk.ask("Problème ayant demandé le plus de soins", "heavier", "M2 (choix de l'établissement) s'ils se valent"):
        first = facts.found or facts.known
        if facts.heavier == facts.other_problem:
            return walk.end(
                "GM2026-VI-M1", dp_role=Role.OTHER_PROBLEM, dp=facts.other_problem, das=(first,) if first else ()
            )
        return walk.end("GM2026-VI-M1", dp_role=Role.FOUND, dp=first, das=(facts.other_problem,))
    return None


def _cancelled(walk: _Walk) -> SituationDecision | None:
    facts = walk.facts
    if walk.ask("Soin annulé faute de matériel ou de plateau technique", "no_facility"):
        return walk.end("GM2026-VI-1.6-3", rum=False)
    if not walk.ask("Soin prévu non réalisé", "cancelled"):
        return None
    if facts.planned is False:
        walk.ask("Soin prévu à l'avance", "planned")
        return None
    walk.ask("Soin prévu à l'avance", "planned", "la règle 1.6 s'applique")
    if walk.ask("Cause de l'annulation prise en charge", "cancel_managed"):
        if facts.found:
            return walk.end("GM2026-VI-1.6-1", dp_role=Role.FOUND, dp=facts.found, das_codes=("Z53",))
        return walk.end("GM2026-VI-1.6-1", dp_role=Role.CANCEL_CAUSE, dp=facts.cancel_cause, das_codes=("Z53",))
    if facts.cancel_managed is False and facts.cancel_cause:
        return walk.end("GM2026-VI-1.6-3", rum=False)
    walk.alternatives.append(
        "Cause de l'annulation : si elle a été explorée ou traitée, elle est le DP et Z53 un DAS (1.6)"
    )
    return walk.end("GM2026-VI-1.6-2", dp_role=Role.Z_CODE, dp_codes=("Z53",))


_OBSTETRIC: dict[Obstetric, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    Obstetric.NORMAL_DELIVERY: ("GM2026-VI-T12", ("O80.0",), ("Z37",)),
    Obstetric.BIRTH: ("GM2026-VI-T13", ("Z38",), ()),
    Obstetric.ABORTION: ("GM2026-VI-1.2.3-5", ("O04",), ()),
    Obstetric.MEDICAL_ABORTION_BEFORE_22: ("GM2026-VI-1.2.3-6", ("O04.?1", "O04.?2", "O04.?3"), ()),
    Obstetric.MEDICAL_ABORTION_AFTER_22: ("GM2026-VI-1.2.3-6", ("O35",), ("Z37.11",)),
    Obstetric.MOTHER_TRANSFERRED: ("GM2026-VI-S4", ("Z39.08",), ()),
    Obstetric.NEWBORN_TRANSFERRED: ("GM2026-VI-S4", ("Z76.2",), ()),
    Obstetric.UNEXPECTED_DELIVERY: ("GM2026-V-IMPROMPTU-01", ("Z39.00",), ("Z37",)),
}


def _obstetric(walk: _Walk) -> SituationDecision | None:
    facts = walk.facts
    if facts.obstetric is None:
        return None
    walk.ask("Situation obstétricale ou néonatale", "obstetric")
    rule, codes, das_codes = _OBSTETRIC[facts.obstetric]
    das = (facts.found,) if facts.obstetric is Obstetric.BIRTH and facts.found else ()
    return walk.end(rule, dp_role=Role.IMPOSED, dp_codes=codes, das=das, das_codes=das_codes)


def _imposed_exam(walk: _Walk) -> SituationDecision | None:
    facts = walk.facts
    if facts.exam is None:
        return None
    walk.ask("Exploration dont le DP est imposé", "exam")
    motive = treatment(facts.exam)
    parts: dict[str, object] = {"dp_role": Role.IMPOSED, "dp_codes": motive.dp}
    if motive.dr == "condition":
        if walk.ask("Affection diagnostiquée par l'exploration", "found"):
            parts |= {"dr_role": Role.FOUND, "dr": facts.found}
        elif facts.symptom:
            parts |= {"dr_role": Role.SYMPTOM, "dr": facts.symptom}
    elif facts.found:
        parts["das"] = (facts.found,)
    return walk.end("GM2026-VI-D3", **parts)


def _special(walk: _Walk) -> SituationDecision | None:
    """Situations that ch. V settles: exposure, missing help at home, respite, repeated falls."""
    facts = walk.facts
    if facts.contact is not None and facts.found is None and facts.symptom is None:
        walk.ask("Contact avec une maladie transmissible, non contractée", "contact")
        return walk.end("GM2026-V-Z-12", dp_role=Role.Z_CODE, dp_codes=("Z20",))
    if facts.caregiver_missing and walk.ask("Aide à domicile défaillante, seul motif", "caregiver_missing"):
        return walk.end("GM2026-V-Z-43", dp_role=Role.IMPOSED, dp_codes=("Z74.2",))
    if facts.respite and walk.ask("Répit des proches", "respite"):
        das = (facts.known,) if facts.known else ()
        return walk.end("GM2026-V-AVC-17", dp_role=Role.IMPOSED, dp_codes=("Z74.2", "Z75.5"), das=das)
    if facts.falls and walk.ask("Chutes répétées", "falls"):
        if facts.found is None:
            return walk.end("GM2026-V-CHUTES-02", dp_role=Role.IMPOSED, dp=facts.symptom, dp_codes=("R29.6",))
        return walk.end("GM2026-V-CHUTES-03", dp_role=Role.FOUND, dp=facts.found, das_codes=("R29.6",))
    return None


def _palliative(walk: _Walk) -> SituationDecision | None:
    facts = walk.facts
    if facts.treatment is None or treatment(facts.treatment).nature != "palliative":
        return None
    walk.ask("Soins palliatifs, motif du séjour", "treatment")
    return _with_dr(walk, "GM2026-VI-T11", treatment(facts.treatment))


def _staging(walk: _Walk) -> SituationDecision | None:
    facts = walk.facts
    if not facts.initial_staging:
        return None
    walk.ask("Premier bilan d'extension d'un cancer", "initial_staging")
    if facts.found:
        das = (facts.known,) if facts.known and facts.known != facts.found else ()
        return walk.end("GM2026-VI-D9", dp_role=Role.FOUND, dp=facts.found, das=das)
    return walk.end("GM2026-VI-D9", dp_role=Role.KNOWN, dp=facts.known)


_FOLLOWED_CODES: dict[Followed, tuple[str, ...]] = {
    Followed.TUMOUR: ("Z08",),
    Followed.TRANSPLANT: ("Z94",),
    Followed.CARDIOVASCULAR_IMPLANT: ("Z95",),
    Followed.POSTOPERATIVE_TRANSFER: ("Z48",),
    Followed.STROKE: ("Z09", "Z86.70"),
    Followed.NUTRITION: ("Z71.3",),
    Followed.ALCOHOL: ("Z71.4",),
    Followed.DRUGS: ("Z71.5",),
    Followed.OTHER: ("Z09",),
}


def _surveillance(walk: _Walk) -> SituationDecision | None:
    facts = walk.facts
    if not facts.surveillance:
        return None
    walk.ask("Surveillance d'une affection connue", "surveillance")
    positive = (Found.COMPLICATION, Found.FLARE, Found.CAUSE)
    if facts.found and facts.found_as is Found.RECURRENCE:
        walk.ask("Récidive découverte", "found")
        walk.ask("Rémission complète avant la récidive", "remission", "SD2 ; sinon le cancer reste suivi (S1)")
        return walk.end("GM2026-VI-SD2", dp_role=Role.FOUND, dp=facts.found)
    if facts.found and facts.found_as in positive:
        walk.ask("Affection nouvelle liée à la maladie surveillée", "found")
        return walk.end("GM2026-VI-SD1", dp_role=Role.FOUND, dp=facts.found)
    if facts.found and facts.found_as is None:
        walk.alternatives.append("Lien de la découverte avec la maladie surveillée : non documenté ; si oui, SD1")
    followed = facts.followed or Followed.OTHER
    walk.ask("Objet de la surveillance", "followed")
    das = (facts.found,) if facts.found else ()
    codes = (facts.z_code,) if facts.z_code else _FOLLOWED_CODES[followed]
    if followed is Followed.TRANSPLANT:
        return walk.end("GM2026-VI-S2", dp_role=Role.Z_CODE, dp_codes=codes, das=das)
    if followed is Followed.CARDIOVASCULAR_IMPLANT:
        return walk.end("GM2026-VI-S3", dp_role=Role.Z_CODE, dp_codes=codes, das=das)
    walk.ask("Maladie surveillée", "known", "elle est le DR si elle en a la définition")
    role = Role.KNOWN if facts.known else Role.NONE
    rule = "GM2026-V-AVC-14" if followed is Followed.STROKE else "GM2026-VI-S1"
    return walk.end(rule, dp_role=Role.Z_CODE, dp_codes=codes, dr_role=role, dr=facts.known, das=das)


def _with_dr(walk: _Walk, rule: str, motive: TreatmentMotive) -> SituationDecision:
    """An imposed Z code, with the condition treated as DR when the treatment calls for one."""
    facts = walk.facts
    parts: dict[str, object] = {
        "dp_role": Role.Z_CODE, "dp_codes": (facts.z_code,) if facts.z_code else motive.dp,
    }  # fmt: skip
    condition = facts.known or facts.found
    if motive.dr == "condition":
        if condition:
            parts |= {"dr_role": Role.KNOWN if facts.known else Role.FOUND, "dr": condition}
            walk.ask("Affection traitée", "known" if facts.known else "found")
        else:
            walk.ask("Affection traitée", "known", "elle est le DR si elle en a la définition")
    return walk.end(rule, **parts)


def _treatment(walk: _Walk) -> SituationDecision | None:
    facts = walk.facts
    if facts.diabetes_break and walk.ask("Diabète : rupture de la prise en charge", "diabetes_break"):
        return walk.end("GM2026-VI-1.2.3-2", dp_role=Role.KNOWN, dp=facts.known, dp_codes=("E10-E14",))
    if facts.first_administration and walk.ask("Première prise d'un traitement au long cours", "first_administration"):
        motive = treatment(facts.treatment) if facts.treatment else None
        if motive is None or motive.nature not in ("repeated", "single"):
            return walk.end("GM2026-VI-1.2.3-1", dp_role=Role.KNOWN, dp=facts.known)
    if facts.treatment is None:
        return None
    motive = treatment(facts.treatment)
    came_undiagnosed = facts.symptom or facts.suspected
    if came_undiagnosed and facts.found and motive.nature in ("surgery", "interventional", "drug"):
        return None  # a diagnosis made in the stay and treated there is still a diagnosis (D1)
    if facts.found_as is Found.FLARE and motive.nature in ("repeated", "drug"):
        return None  # treating an acute flare is not a session of a repeated treatment (D5, D6)
    walk.ask("Traitement, motif du séjour", "treatment")
    if motive.nature == "exception":
        return _exception(walk, motive)
    if motive.nature == "repeated" and facts.known is None and facts.found and facts.symptom:
        return None
    if motive.nature in ("cosmetic", "comfort"):
        return _uncovered(walk, motive)
    if motive.nature == "surgery" and facts.covered is False:
        walk.ask("Pris en charge par l'assurance maladie", "covered")
        return walk.end("GM2026-VI-T6", dp_role=Role.Z_CODE, dp_codes=("Z41.80",), dr_role=Role.KNOWN, dr=facts.known)
    if motive.nature in ("repeated", "single", "device", "prophylactic", "repair", "donor"):
        return _with_dr(walk, motive.rule_id, motive)
    if facts.second_stage and walk.ask("Second temps décidé sur les contrôles du premier", "second_stage"):
        rule = "GM2026-VI-T8" if motive.nature == "interventional" else "GM2026-VI-T14"
        return walk.end(rule, dp_role=Role.KNOWN, dp=facts.known)
    rule = motive.rule_id
    if motive.dp:
        return walk.end(rule, dp_role=Role.IMPOSED, dp_codes=motive.dp)
    if facts.found and facts.found_as in (Found.OPERATED, None):
        walk.ask("Diagnostic établi par l'intervention", "found")
        return walk.end(rule, dp_role=Role.FOUND, dp=facts.found)
    if walk.ask("Affection connue avant l'admission", "known", "elle est le DP"):
        return walk.end(rule, dp_role=Role.KNOWN, dp=facts.known)
    return walk.end(rule, dp_role=Role.SYMPTOM, dp=facts.symptom) if facts.symptom else None


def _exception(walk: _Walk, motive: TreatmentMotive) -> SituationDecision:
    facts = walk.facts
    if motive.dp:
        return walk.end("GM2026-VI-T2", dp_role=Role.IMPOSED, dp_codes=motive.dp)
    return walk.end("GM2026-VI-T2", dp_role=Role.KNOWN, dp=facts.known or facts.symptom)


def _uncovered(walk: _Walk, motive: TreatmentMotive) -> SituationDecision:
    facts = walk.facts
    walk.ask("Pris en charge par l'assurance maladie", "covered", "T5 (plastie réparatrice) : l'opérateur tranche")
    role = Role.KNOWN if facts.known else Role.NONE
    return walk.end(motive.rule_id, dp_role=Role.IMPOSED, dp_codes=motive.dp, dr_role=role, dr=facts.known)


def _diagnosis(walk: _Walk) -> SituationDecision:
    facts = walk.facts
    if facts.found:
        walk.ask("Affection établie pendant le séjour", "found")
        return _established(walk)
    if facts.planned_exam and (facts.history or facts.symptom):
        walk.ask("Examen diagnostique programmé", "planned_exam")
        if facts.history:
            return walk.end(
                "GM2026-VI-D4", dp_role=Role.HISTORY, dp=facts.history, dp_codes=(facts.z_code,) if facts.z_code else ()
            )
        return walk.end("GM2026-VI-D4", dp_role=Role.SYMPTOM, dp=facts.symptom)
    if facts.symptom:
        walk.ask("Symptôme ou résultat anormal, motif de l'admission", "symptom")
        walk.ask("Cause trouvée", "cause_found", "elle est le DP (D1)")
        walk.ask("Décès avant tout diagnostic", "died_early")
        return walk.end("GM2026-VI-D2", dp_role=Role.SYMPTOM, dp=facts.symptom)
    if facts.suspected:
        walk.ask("Suspicion non confirmée, sans symptôme", "suspected")
        return walk.end("GM2026-VI-D2", dp_role=Role.SUSPECTED, dp=facts.suspected, dp_codes=("Z03",))
    if facts.known:
        walk.ask("Affection connue avant l'admission", "known")
        walk.alternatives.append("But du séjour : non documenté ; traitement (1.2) ou surveillance (1.3)")
        return walk.end("GM2026-VI-T9", dp_role=Role.KNOWN, dp=facts.known)
    walk.alternatives.append("Motif d'admission : non documenté ; il décide de la situation clinique")
    return SituationDecision(None, steps=tuple(walk.steps), alternatives=tuple(walk.alternatives))


def _established(walk: _Walk) -> SituationDecision:
    facts = walk.facts
    das = (facts.known,) if facts.known and facts.known != facts.found else ()
    if facts.found_as is Found.FLARE:
        if walk.ask("L'état aigu a son propre code", "acute_code"):
            return walk.end("GM2026-VI-D6", dp_role=Role.FOUND, dp=facts.found, dp_codes=(facts.acute_code,), das=das)
        return walk.end("GM2026-VI-D5", dp_role=Role.KNOWN, dp=facts.known or facts.found)
    if walk.ask("Maladie connue avant l'admission", "known"):
        if facts.found_as is Found.COMPLICATION:
            return walk.end("GM2026-VI-D7", dp_role=Role.FOUND, dp=facts.found, das=das)
        if facts.found_as is Found.INTERCURRENT:
            return walk.end("GM2026-VI-D8", dp_role=Role.FOUND, dp=facts.found, das=das)
        walk.alternatives.append(
            "Lien avec la maladie connue : non documenté ; complication, D7 ; sans lien, D8 (même DP)"
        )
    return walk.end("GM2026-VI-D1", dp_role=Role.FOUND, dp=facts.found, das=das)
