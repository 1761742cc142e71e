"""The facts that decide a situation clinique (Guide méthodologique MCO, ch. VI), as a reader or a person gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Found(StrEnum):
    """What the condition established during the stay is to what was known before (ch. VI, 1.1 and 1.3.2)."""

    CAUSE = "cause des symptômes"
    FLARE = "poussée aiguë de la maladie connue"
    COMPLICATION = "complication de la maladie connue ou de son traitement"
    INTERCURRENT = "affection sans lien avec la maladie connue"
    INCIDENTAL = "découverte fortuite sans lien avec la maladie surveillée"
    RECURRENCE = "récidive d'un cancer en rémission"
    OPERATED = "diagnostic établi par l'intervention"


class Obstetric(StrEnum):
    """Obstetric and newborn stays that have their own rule (ch. VI, 1.2.3 and 1.3.3)."""

    NORMAL_DELIVERY = "accouchement normal"
    BIRTH = "naissance en maternité"
    ABORTION = "IVG"
    MEDICAL_ABORTION_BEFORE_22 = "IMG avant 22 semaines"
    MEDICAL_ABORTION_AFTER_22 = "IMG à partir de 22 semaines"
    MOTHER_TRANSFERRED = "mère transférée après l'accouchement"
    NEWBORN_TRANSFERRED = "nouveau-né transféré bien portant"
    UNEXPECTED_DELIVERY = "accouchement impromptu"


class Followed(StrEnum):
    """What a stay of surveillance follows (ch. VI, 1.3.1)."""

    TUMOUR = "tumeur maligne"
    TRANSPLANT = "greffe d'organe ou de tissu"
    CARDIOVASCULAR_IMPLANT = "implant ou greffe cardiovasculaire"
    POSTOPERATIVE_TRANSFER = "suites opératoires après transfert"
    STROKE = "suites d'un accident vasculaire cérébral"
    NUTRITION = "affection nutritionnelle ou métabolique"
    ALCOHOL = "addiction à l'alcool"
    DRUGS = "toxicomanie"
    OTHER = "autre affection"


@dataclass(frozen=True)
class SituationFacts:
    """What is known of the stay; None means « not documented », never « no ».

    Conditions are free texts or codes: they come back as they are in the decision.

    Attributes:
        symptom: symptom or abnormal result that motivated the admission.
        known: disease diagnosed before the admission.
        cause_found: False when it is written that no cause or nothing new was found.
        found: condition established during the stay, and `found_as`: what it is to the known disease.
        suspected: condition suspected at admission that was not confirmed.
        history: personal or family history or risk factor that motivated an examination.
        contact: communicable disease the patient was exposed to and did not catch.
        treatment: key of a treatment (`treatments()`), that the stay was for.
        exam: key of an exploration with an imposed DP (`explorations()`).
        planned_exam: a planned diagnostic examination.
        surveillance: the stay is for the follow-up of a known disease; `followed`: which kind.
        z_code: code of surveillance or state when the reader knows it (Z08.0, Z94.1), printed form.
        initial_staging: first assessment of the extent of a cancer just diagnosed.
        remission: the cancer followed was in complete remission after its initial treatment.
        planned: the care was planned in advance; cancelled: it was not given; no_facility: for want of equipment.
        cancel_cause: condition that prevented it; cancel_managed: it was examined or treated in the stay.
        covered: the national insurance pays for the act.
        second_stage: completion of an operation decided from the immediate controls of the first.
        first_administration: admission for the first intake of a long-term drug.
        diabetes_break: whole diabetes care revised with a change of strategy (ch. VI, 1.2.3, 2°).
        caregiver_missing: admitted only because the help needed at home is missing; respite: to relieve relatives.
        falls: repeated falls without a cause found and without a lesion treated.
        died_early: death before an aetiological diagnosis.
        acute_code: code of the acute state when the classification has one (D6), printed form.
        obstetric: an obstetric or newborn situation.
        other_problem: a second problem that also motivated the admission; heavier: which took most care
            ("equal" when equivalent).
        words: for each fact above, the words of the report that gave it.
    """

    symptom: str | None = None
    known: str | None = None
    cause_found: bool | None = None
    found: str | None = None
    found_as: Found | None = None
    suspected: str | None = None
    history: str | None = None
    contact: str | None = None
    treatment: str | None = None
    exam: str | None = None
    planned_exam: bool | None = None
    surveillance: bool | None = None
    followed: Followed | None = None
    z_code: str | None = None
    initial_staging: bool | None = None
    remission: bool | None = None
    planned: bool | None = None
    cancelled: bool | None = None
    no_facility: bool | None = None
    cancel_cause: str | None = None
    cancel_managed: bool | None = None
    covered: bool | None = None
    second_stage: bool | None = None
    first_administration: bool | None = None
    diabetes_break: bool | None = None
    caregiver_missing: bool | None = None
    respite: bool | None = None
    falls: bool | None = None
    died_early: bool | None = None
    obstetric: Obstetric | None = None
    acute_code: str | None = None
    other_problem: str | None = None
    heavier: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
