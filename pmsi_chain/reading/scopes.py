"""The scopes of a sentence: cues with their reach, and what words alone do not tell (dates, relatives, answers)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise

from pmsi_chain.reading.clause import CONJUNCTIONS, Clause, Run
from pmsi_chain.reading.context import Scope
from pmsi_chain.reading.cues import FoundCue, find_cues
from pmsi_chain.reading.tokens import STRONG_SIGN, Token
from pmsi_chain.reading.words import word_classes

_YEAR = re.compile(r"(?:19|20)\d\d")
_FULL_DATE = re.compile(r"\b\d{1,2}[/.-]\d{1,2}[/.-]((?:19|20)\d\d)\b")
_WRITTEN_DATE = re.compile(
    r"\b\d{1,2}(?:er)?\s+(?:janv|f[ée]vr|mars|avr|mai|juin|juil|ao[uû]t|sept|oct|nov|d[ée]c)\w*\.?\s+"
    r"((?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_OPENS_A_STATEMENT = frozenset({"un", "une", "le", "la", "les", "l'", "de", "toute", "tout"})
#: What follows a word of cause that opens one: « due à », « liée aux », « causé par », « en lien avec ».
_OPENS_A_CAUSE = frozenset({"a", "au", "aux", "par", "avec"})
#: A doubt that the same statement lifts, within so many words; and what keeps it.
_CONFIRMED = frozenset({"confirme", "confirmee", "confirmes", "confirmees"})
_UNCONFIRMED = frozenset({"non", "pas", "jamais", "ni", "peu", "n'a", "n'est"})
_CONFIRMED_WITHIN = 9
_PROBLEM_WORDS = frozenset({"diagnostic", "diagnostics", "hypothese", "hypotheses", "etiologie", "etiologies"})
_AFTER_DATE = frozenset({"avec", "pour", "sur", "un", "une", "des"})
_SUFFERED = frozenset({"eu", "fait", "presente", "developpe"})
#: « une fille suivie pour … » is a relative, « petite fille suivie pour … » the patient.
_FOLLOWED, _CHILD = frozenset({"suivi", "suivie", "suivis", "suivies"}), frozenset({"petite", "jeune", "petit"})
_BEFORE_KIN = frozenset({"son", "sa", "ses", "la", "le", "un", "une", "deux"})
#: « amené par son fils », « vit avec sa mère »: the relative acts, and has no disease.
_KIN_ACTS = frozenset({"par", "avec", "chez", "a", "de", "du"})
_ANSWER = re.compile(r"[:=]\s*$")
_AFTER_ANSWER = re.compile(r"[,;.|)\n/]|\s-\s")


def admission_year(text: str) -> int | None:
    """Latest year among the full dates of the report; None when it holds none."""
    years = [int(m.group(1)) for pattern in (_FULL_DATE, _WRITTEN_DATE) for m in pattern.finditer(text)]
    return max(years, default=None)


def find_scopes(
    tokens: Sequence[Token], tail: str = "", year: int | None = None, section: str = ""
) -> tuple[Scope, ...]:
    """All scopes of a sentence.

    Args:
        tokens: its words.
        tail: the characters after the last word, where a question mark may stand.
        year: year of the stay: an earlier one is history; None takes every year for an earlier one.
        section: normalised name of its section.
    """
    if not tokens:
        return ()
    clause = Clause(tokens)
    found: list[Scope] = []
    for cue in find_cues(tokens):
        found.extend(_of_cue(tokens, clause, cue, section))
    found.extend(_years(tokens, clause, year))
    found.extend(_relatives(tokens, clause))
    found.extend(_answers(tokens, clause, tail))
    return tuple(found)


def _scope(flag: str, tokens: Sequence[Token], run: Run, cue_start: int, cue_end: int) -> Scope:
    return Scope(flag, tokens[run[0]].start, tokens[run[1]].end, cue_start, cue_end)


def _of_cue(tokens: Sequence[Token], clause: Clause, cue: FoundCue, section: str) -> list[Scope]:
    sides = {reading.side for reading in cue.cues}
    side = next(iter(sides)) if len(sides) == 1 else _side(tokens, clause, cue)
    readings = {(reading.flag, reading.reach) for reading in cue.cues if reading.side == side}
    if side == "after" and cue.next_word == "de" and cue.after < len(tokens):
        # « n'a pas été retrouvé d'ischémie »: what is denied follows.
        negated = {(reading.flag, "list") for reading in cue.cues if reading.flag == "negated"}
        if negated:
            side, readings = "before", negated
    scopes: list[Scope] = []
    for flag, reach in sorted(readings):
        if reach == "opening" and not clause.opens_segment(cue.first, cue.after):
            continue  # « plus de dyspnée » at the start of a statement, not « plus de dix épisodes »
        if reach == "past" and section != "antecedents":
            continue  # « cataracte opérée » may be this very stay
        if flag == "history" and side == "after" and clause.is_current(cue.first):
            continue
        if flag == "hypothesis" and _confirmed(tokens, cue.after):
            continue
        if side == "before":
            after = _past_the_cause(tokens, cue.after) if flag == "hypothesis" else cue.after
            run = clause.forward(after, "list" if reach in {"opening", "past"} else reach, flag) if after else None
        else:
            run = clause.backward(cue.first, reach)
        if run is not None:
            scopes.append(_scope(flag, tokens, run, cue.start, cue.end))
    return scopes


def _confirmed(tokens: Sequence[Token], after: int) -> bool:
    """« suspicion d'embolie pulmonaire confirmée à l'angioscanner », not « non confirmée »."""
    for index in range(after, min(after + _CONFIRMED_WITHIN, len(tokens))):
        if STRONG_SIGN.search(tokens[index].gap):
            return False
        if tokens[index].word in _CONFIRMED:
            return not any(token.word in _UNCONFIRMED for token in tokens[max(0, index - 3) : index])
    return False


def _past_the_cause(tokens: Sequence[Token], after: int) -> int | None:
    """Where doubt begins after « probablement due à »: at a new « un … », nowhere at what is already known.

    « probablement due à la cirrhose » doubts the link and not the cirrhosis; « probablement liée à un SIADH » both.
    """
    stretch = tokens[after : after + 5]
    causal = word_classes()["causal"]
    if not any(_is_causal(word.word, following.word, causal) for word, following in pairwise(stretch[:3])):
        return after
    return next((after + k for k, token in enumerate(stretch) if token.word in {"un", "une"}), None)


def _is_causal(word: str, following: str, causal: Collection[str]) -> bool:
    """« due à », « liée à », « en raison de » tell a cause; « fracture du col », « lésion secondaire » do not."""
    return word in causal and (following in _OPENS_A_CAUSE or word == "raison")


def _side(tokens: Sequence[Token], clause: Clause, cue: FoundCue) -> str:
    """Which side a cue that works on both (« possible », « ancien », « élimine ») speaks of here."""
    first = cue.first
    following = tokens[cue.after] if cue.after < len(tokens) else None
    if following is not None and ":" in following.gap and first and tokens[first - 1].word in _PROBLEM_WORDS:
        return "before"  # « diagnostic éliminé : … »
    if following is None or "," in following.gap or STRONG_SIGN.search(following.gap):
        return "after"
    if cue.next_word in _OPENS_A_STATEMENT:
        return "before"
    if first == 0 or clause.ends_at(first) or any(sign in tokens[first].gap for sign in ",("):
        return "before"
    previous = tokens[first - 1]
    if previous.is_stop or previous.word in word_classes()["verb"] or previous.word in CONJUNCTIONS:
        return "after" if previous.word in word_classes()["auxiliary"] - {"a"} else "before"
    return "after"


def _years(tokens: Sequence[Token], clause: Clause, year: int | None) -> list[Scope]:
    """« IDM en 2012 », « AVC (2015) », « il y a 3 ans », « AVP en 1990 avec fracture », « 2012 : appendicectomie »."""
    scopes: list[Scope] = []
    for index, token in enumerate(tokens):
        start = _start_of_date(tokens, index, year)
        if start is None:
            continue
        runs: list[Run | None] = []
        if not (tokens[start].word in word_classes()["current"] or clause.is_current(start)):
            runs.append(clause.backward(start, "near"))
        if index + 1 < len(tokens) and _goes_on_after_date(tokens[index + 1], at_start=start == 0):
            last = clause.segment_end(index + 1)
            if not any(t.word in word_classes()["current"] for t in tokens[index + 1 : last + 1]):
                runs.append((index + 1, last))
        scopes.extend(_scope("history", tokens, run, tokens[start].start, token.end) for run in runs if run is not None)
    return scopes


def _goes_on_after_date(following: Token, *, at_start: bool) -> bool:
    """« en 2017 pour pancréatite », « il y a 20 ans une pleurésie », « 2012 : appendicectomie »."""
    if STRONG_SIGN.search(following.gap) or "," in following.gap:
        return at_start and re.search(r"[:,]|\s[-–]\s", following.gap) is not None
    return following.word in _AFTER_DATE


def _start_of_date(tokens: Sequence[Token], index: int, year: int | None) -> int | None:
    """First token of a past date that ends at `index`, None when no past date ends there."""
    token = tokens[index]
    if (
        token.word in {"ans", "an"}
        and index >= 4
        and [t.word for t in tokens[index - 4 : index - 1]] == ["il", "y", "a"]
    ):
        return index - 4
    if not _YEAR.fullmatch(token.word) or (year is not None and int(token.word) >= year):
        return None
    if index + 1 < len(tokens) and tokens[index + 1].word in word_classes()["unit"]:
        return None
    if index == 0:
        return 0
    before = tokens[index - 1].word
    if before in word_classes()["month"] or before in {"en", "annee"}:
        is_introduced = index > 1 and tokens[index - 2].word in {"en", "debut", "fin"}
        return index - 2 if is_introduced else index - 1
    return None if before == "depuis" or ("," in token.gap and "(" not in token.gap) else index


def _relatives(tokens: Sequence[Token], clause: Clause) -> list[Scope]:
    """« Père décédé d'un IDM », « mère : diabète », « cancer du sein (mère) »; not « amené par son fils »."""
    classes = word_classes()
    scopes: list[Scope] = []
    for index, token in enumerate(tokens):
        if token.word not in classes["kin"]:
            continue
        at = index - 1
        if at >= 0 and tokens[at].word in _BEFORE_KIN:
            at -= 1
        if at >= 0 and tokens[at].word in _KIN_ACTS:
            continue
        is_child = index > 0 and tokens[index - 1].word in _CHILD
        after = tokens[index + 1 : index + 5]
        run: Run | None = None
        if "(" in token.gap and (not after or ")" in after[0].gap):
            run = clause.backward(index, "near")
        elif (
            any(sign in t.gap for t in after[:2] for sign in ":=(")
            or any(t.word in classes["kin_state"] for t in after[:3])
            or (after and after[0].word in _FOLLOWED and not after[0].gap.strip() and not is_child)
            or any(a.word in {"a", "ont"} and b.word in _SUFFERED for a, b in pairwise(after))
        ):
            run = clause.kin_reach(index + 1)
        if run is not None:
            scopes.append(_scope("family", tokens, run, token.start, token.end))
    return scopes


def _answers(tokens: Sequence[Token], clause: Clause, tail: str) -> list[Scope]:
    """Answers of a form and questions: « Fièvre : non », « EP ? », « Diabète = 0 »."""
    scopes: list[Scope] = []
    no = word_classes()["no"]
    for index in range(1, len(tokens)):
        token = tokens[index]
        asks = "?" in token.gap
        alone = index + 1 == len(tokens) or _AFTER_ANSWER.search(tokens[index + 1].gap)
        denies = token.word in no and alone and _ANSWER.search(token.gap)
        run = clause.field(index - 1) if asks or denies else None
        if run is None:
            continue
        if asks:
            scopes.append(_scope("hypothesis", tokens, run, token.start - 1, token.start))
        if denies:
            scopes.append(_scope("negated", tokens, run, token.start, token.end))
    run = clause.field(len(tokens) - 1) if "?" in tail else None
    if run is not None:
        end = tokens[run[1]].end
        scopes.append(_scope("hypothesis", tokens, run, end, end + 1))
    return scopes
