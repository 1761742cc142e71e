"""Facts of the situation clinique from a short French text: the motive and the conclusion of a report.

Simple patterns on folded text, no model. What is not written stays None: the decision then says « non documenté ».
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

from pmsi_chain.rules import situation_patterns as p
from pmsi_chain.rules.situation_facts import Followed, Found, SituationFacts
from pmsi_chain.rules.situation_words import SituationWords, situation_words
from pmsi_chain.rules.treatments import acute_states, explorations, find_treatment, treatments
from pmsi_chain.text import fold, fold_with_offsets


@dataclass
class _Reading:
    """A text being read: folded, with the way back to the original words."""

    text: str
    folded: str
    offsets: list[int]
    known_words: SituationWords
    limit: int
    facts: dict[str, Any] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    @property
    def motive(self) -> str:
        """The folded text up to the end of the motive; offsets are the same."""
        return self.folded[: self.limit]

    def original(self, start: int, end: int) -> str:
        return self.text[self.offsets[start] : self.offsets[end - 1] + 1].strip()

    def put(self, name: str, value: Any, match: re.Match[str] | None = None, group: str | int = 0) -> None:
        """Keep a fact, the first one read; with the words that gave it."""
        if self.facts.get(name) is None:
            self.facts[name] = value
            if match is not None:
                start, end = match.span(group)
                while end < len(self.folded) and self.folded[end].isalnum():
                    end += 1
                self.words[name] = self.original(start, end)

    def phrase(self, name: str, match: re.Match[str] | None, group: str = "phrase") -> None:
        """Keep a condition named by a group of a match."""
        if match is not None and match.group(group):
            self.put(name, self.original(*match.span(group)), match, group)

    def drop(self, *names: str) -> None:
        for name in names:
            self.facts.pop(name, None)

    def folded_fact(self, name: str) -> str:
        return fold(self.facts.get(name) or "")


def read_situation(text: str, before: SituationFacts | None = None, outcome: str = "") -> SituationFacts:
    """Read the facts of a short text such as « hospitalisation pour … ; découverte de … ».

    Args:
        text: the motive and what was found, in French; a whole report works but reads less surely.
        outcome: the conclusion, when it stands apart: what the stay was for is then read in `text` alone, what was
            found in both.
        before: facts of the same patient that the text takes for granted: its known disease and treatment hold.
    """
    whole = f"{text} ; {outcome}" if outcome else text
    folded, offsets = fold_with_offsets(whole)
    reading = _Reading(whole, folded, offsets, situation_words(), limit=bisect_left(offsets, len(text)))
    if before is not None:
        reading.facts |= {name: value for name in ("known", "treatment") if (value := getattr(before, name))}
    for step in (_motive, _known, _found, _care, _surveillance, _cancel, _special, _relate):
        step(reading)
    return SituationFacts(**reading.facts, words=reading.words)


def _motive(reading: _Reading) -> None:
    for pattern in (p.MOTIVE, p.SECOND):
        for match in pattern.finditer(reading.motive):
            phrase = match.group("phrase")
            care = p.CARE_OF.match(phrase)
            if care:
                match = p.OBJECT.match(reading.motive, match.start("phrase") + care.end()) or match
                phrase = match.group("phrase")
            if p.SUSPECTED.match("suspicion " + phrase) and "suspicion" in phrase:
                continue
            if reading.known_words.symptom.match(phrase):
                reading.phrase("symptom", match)
            elif not (find_treatment(phrase) or p.EXAM.match(phrase) or phrase.startswith(p.NOT_A_DISEASE)):
                reading.phrase("_disease", match)
    bare = p.BARE.match(reading.motive)
    if bare and reading.known_words.symptom.match(bare.group("phrase")):
        reading.phrase("symptom", bare)
    elif bare and p.PLAIN.fullmatch(bare.group("phrase")) and not find_treatment(reading.motive):
        reading.phrase("_disease", bare)
    reading.phrase("suspected", p.SUSPECTED.search(reading.motive))


def _known(reading: _Reading) -> None:
    for pattern in (p.KNOWN, p.KNOWN_STATE, p.KNOWN_WORD, p.TREATED_FOR):
        reading.phrase("known", pattern.search(reading.folded))
    for pattern, condition in reading.known_words.adjectives:
        match = pattern.search(reading.folded)
        if match:
            reading.put("known", condition, match)
    recent = p.RECENT_SURGERY.search(reading.folded)
    if recent:
        reading.drop("known")
        reading.put("known", _cancer_of(reading, recent), recent)


def _cancer_of(reading: _Reading, match: re.Match[str]) -> str:
    phrase = reading.original(*match.span("phrase"))
    if reading.known_words.cancer.fullmatch(match.group("phrase")):
        for pattern, organ in reading.known_words.organs:
            if pattern.search(match.group("act")):
                return f"{phrase} {organ}"
    return phrase


def _found(reading: _Reading) -> None:
    matches = [*p.FOUND.finditer(reading.folded), *p.FOUND_IS.finditer(reading.folded)]
    for match in matches:
        before = reading.folded[max(0, match.start() - 12) : match.start()]
        if re.search(r"\b(?:sans|pas de|aucun|rendez-vous)\s*$", before) or "cause" in match.group("phrase")[:6]:
            continue
        reading.phrase("found", match)
    if reading.limit < len(reading.folded) and not reading.facts.get("found"):
        named = p.OUTCOME.match(reading.folded, reading.limit)
        if named and not (reading.known_words.symptom.match(named["phrase"]) or find_treatment(named["phrase"])):
            reading.phrase("found", named)
    nothing = p.NO_CAUSE.search(reading.folded) or p.NEGATIVE.search(reading.folded)
    if nothing and not reading.facts.get("found"):
        reading.put("cause_found", False, nothing)
    if re.search(r"diagnostic[^;.]{0,60}(?:smur|urgences|ville|precedent|anterieur)", reading.folded):
        reading.drop("found")


def _care(reading: _Reading) -> None:
    for exam in explorations():
        match = exam.find(reading.motive)
        if match:
            reading.put("exam", exam.key, match)
    match = p.STAGING.search(reading.motive)
    if match:
        reading.put("initial_staging", True, match)
    for motive in treatments():
        match = next(
            (m for m in motive.pattern.finditer(reading.motive) if not p.STATUS.search(reading.motive[: m.start()])),
            None,
        )
        if match:
            reading.put("treatment", motive.key, match)
            _treated(reading, match)
            break
    if p.UNCOVERED.search(reading.motive):
        reading.put("covered", False, p.UNCOVERED.search(reading.motive))
    stage = p.SECOND_STAGE.search(reading.motive)
    if stage and (p.RECENT_SURGERY.search(reading.motive) or "second" in reading.motive):
        reading.put("second_stage", True, stage)
    history = p.HISTORY.search(reading.motive)
    exam_match = p.EXAM.search(reading.motive)
    if history and exam_match and not reading.facts.get("found"):
        reading.put("history", reading.original(*history.span()), history)
        reading.put("planned_exam", True, exam_match)


def _treated(reading: _Reading, match: re.Match[str]) -> None:
    """The condition that a treatment is given for: « chimiothérapie pour … », « exérèse d'une … », a state left."""
    for found in (p.TREATED.match(reading.folded, match.end()), p.REMOVED.search(reading.folded)):
        if (
            found
            and not found.group("phrase").startswith(p.NOT_A_DISEASE)
            and not find_treatment(found.group("phrase"))
        ):
            reading.phrase("known", found)
    for pattern, condition in reading.known_words.states:
        state = pattern.search(reading.folded)
        if state:
            reading.put("known", condition, state)


def _surveillance(reading: _Reading) -> None:
    match = p.SURVEILLANCE.search(p.THEN.sub(lambda found: " " * len(found[0]), reading.motive))
    if not match or reading.facts.get("initial_staging") or reading.facts.get("symptom"):
        return
    if p.WATCHED.search(reading.motive) or (
        p.PREGNANT.search(reading.motive) and not p.FOLLOWED.search(reading.motive)
    ):
        return
    reading.put("surveillance", True, match)
    after = p.AFTER_SURGERY.search(reading.folded)
    if after:
        reading.drop("known")
        reading.put("known", _cancer_of(reading, after), after)
    reading.phrase("known", p.FOLLOWED.search(reading.folded))
    subject = reading.folded_fact("known") + " " + reading.folded
    if p.TRANSPLANT.search(subject):
        reading.put("followed", Followed.TRANSPLANT, p.TRANSPLANT.search(reading.folded))
        _z_code(reading, p.ORGAN_Z94)
    elif reading.known_words.cancer.search(reading.folded_fact("known") or reading.motive):
        reading.put("followed", Followed.TUMOUR)
        _z_code(reading, p.AFTER_Z08)
    elif p.IMPLANT.search(subject):
        reading.put("followed", Followed.CARDIOVASCULAR_IMPLANT, p.IMPLANT.search(reading.folded))
        _z_code(reading, p.IMPLANT_Z95)
    else:
        _z_code(reading, p.AFTER_Z09, reading.motive)
    reading.drop("treatment")


def _z_code(reading: _Reading, table: tuple[tuple[str, str], ...], where: str = "") -> None:
    for cue, code in table:
        match = re.search(cue, where or reading.folded)
        if match:
            reading.put("z_code", code, match)
            return


def _cancel(reading: _Reading) -> None:
    facility = p.NO_FACILITY.search(reading.folded)
    if facility:
        reading.put("no_facility", True, facility)
    match = p.CANCELLED.search(reading.folded)
    if not match or not p.PLANNED.search(reading.folded):
        return
    reading.put("planned", True, p.PLANNED.search(reading.folded))
    reading.put("cancelled", True, match)
    cause = p.CANCEL_CAUSE.search(reading.folded)
    if cause:
        reading.phrase("cancel_cause", cause, "phrase" if cause.group("phrase") else "other")
    managed = reading.facts.get("found") or p.MANAGED.search(reading.folded)
    if managed:
        reading.put("cancel_managed", True)
    elif p.HOME.search(reading.folded):
        reading.put("cancel_managed", False, p.HOME.search(reading.folded))


def _special(reading: _Reading) -> None:
    contact = p.CONTACT.search(reading.folded)
    if contact:
        of = p.CONTACT_OF.search(reading.folded)
        reading.put("contact", reading.original(*of.span("phrase")) if of else "maladie transmissible", contact)
        reading.drop("found", "symptom", "suspected", "known")
    for name, pattern in (("caregiver_missing", p.CAREGIVER), ("respite", p.RESPITE), ("falls", p.FALLS)):
        match = pattern.search(reading.folded)
        if match:
            reading.put(name, True, match)
    for cue, situation in p.OBSTETRIC:
        match = re.search(cue, reading.folded)
        if match:
            reading.put("obstetric", situation, match)
            break
    shared = p.SHARED.search(reading.folded)
    if shared:
        known = reading.facts.get("found") or reading.facts.get("known") or reading.facts.get("suspected")
        reading.drop("found", "symptom", "suspected", "known")
        if known:
            reading.put("known", known, shared)
    for pattern in (p.CONTINUED, p.LEADING):
        if shared or pattern is p.LEADING:
            reading.phrase("known", pattern.search(reading.folded))


def _relate(reading: _Reading) -> None:
    """What was found, against what was known; what a motive that is a disease stands for."""
    facts = reading.facts
    disease = facts.pop("_disease", None)
    if disease and not facts.get("known") and not facts.get("symptom"):
        reading.put("known", disease)
    scope = reading.motive if facts.get("treatment") else reading.folded  # a session is one whatever it meets
    for state in acute_states():
        match = state.find(scope)
        if match:
            reading.put("acute_code", state.dp[0], match)
            reading.put("found", reading.original(*match.span()), match)
            reading.put("found_as", Found.FLARE, match)
            return
    flare = p.FLARE.search(scope)
    if flare and not facts.get("found"):
        of = p.CHRONIC_OF.search(reading.folded)
        if of:
            reading.drop("known")
            reading.phrase("known", of)
        reading.put("found", facts.get("known"), flare)
        reading.put("found_as", Found.FLARE, flare)
        return
    found, known = reading.folded_fact("found"), reading.folded_fact("known")
    if not found:
        due = re.search(r"dues? a une? ", reading.folded)
        if due and facts.get("symptom") and known and not facts.get("surveillance"):
            reading.put("found", facts["symptom"], due)
            reading.put("found_as", Found.COMPLICATION, due)
        return
    words = reading.known_words
    if "anatomopatholog" in reading.folded and facts.get("treatment"):
        reading.put("found_as", Found.OPERATED)
    elif re.search(r"recidive", reading.folded):
        reading.put("found_as", Found.RECURRENCE)
    elif facts.get("initial_staging"):
        return
    elif (
        (words.metastasis.search(found) and words.cancer.search(known))
        or words.is_complication(known, found)
        or (known and p.EFFECT.search(reading.folded))
    ):
        reading.put("found_as", Found.COMPLICATION)
    elif facts.get("surveillance"):
        reading.put("found_as", Found.INCIDENTAL)
    elif known:
        reading.put("found_as", Found.INTERCURRENT)
    else:
        reading.put("found_as", Found.CAUSE)
