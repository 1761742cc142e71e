"""Eligibility, positions, facts of a reader, and the checker as a whole."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmsi_chain.domain import CodedDiagnosis, Coding, Evidence, Position, Rum, RumAct, Stay
from pmsi_chain.lexicon import load_lexicon
from pmsi_chain.nomenclature import load_ccam, load_cim10
from pmsi_chain.nomenclature.ccam import CcamEntry
from pmsi_chain.nomenclature.cim10 import Cim10Entry
from pmsi_chain.reading import Reader
from pmsi_chain.rules import LabValue, ReportFacts, check, eligibility, load_guide, position_rule, treatments
from pmsi_chain.rules.check_tables import check_tables
from pmsi_chain.rules.checks import CHECKS
from pmsi_chain.rules.expressions import Expression, Matcher, expression, stored
from pmsi_chain.rules.treatments import acute_states, explorations
from tests.test_rules_check import RIGHT, WRONG

EDITION = load_cim10("2025")
ORDER = ["code", "category", "range", "chapter", "all"]


def rule_ids(rum: Rum, stay: Stay | None = None, facts: ReportFacts | None = None) -> dict[str, str]:
    return {f.rule_id: f.severity for f in check(rum, stay, EDITION, load_ccam(), facts)}


def test_eligibility_goes_from_specific_to_general() -> None:
    found = eligibility("E43", "das", EDITION)
    assert [ORDER.index(item.specificity) for item in found] == sorted(ORDER.index(i.specificity) for i in found)
    assert found[0].rule_id == "CIM10-CODE-03"
    assert "admis en DAS" in found[0].criteria_text
    assert {"GM2026-V-DENUT-07", "GM2026-V-DENUT-09", "GM2026-IV-DAS-02"} <= {item.rule_id for item in found}
    severe = next(item for item in found if item.rule_id == "GM2026-V-DENUT-07")
    assert severe.page == "113"
    assert severe.guide_section.endswith("p. 113")


def test_eligibility_depends_on_the_position() -> None:
    as_dp = {item.rule_id for item in eligibility("B96.2", "dp")}
    as_das = {item.rule_id for item in eligibility("B962", "das")}
    assert "GM2026-V-GERMES-01" in as_dp & as_das
    assert any("Interdit en DP" in text for item in eligibility("B96.2", "dp") for text in item.exclusion_rules)
    assert not any("Interdit en DP" in text for item in eligibility("B96.2", "das") for text in item.exclusion_rules)


def test_eligibility_without_edition_says_nothing_of_the_type() -> None:
    assert eligibility("E43", "dp")[0].rule_id != "CIM10-CODE-03"
    assert "interdit en DP" in eligibility("B96.2", "dp", EDITION)[0].criteria_text


def test_eligibility_of_an_act() -> None:
    found = eligibility("JNJD002", "ccam")
    assert found[0].rule_id.startswith("GM2026-V-IG")
    assert found[-1].rule_id == "CCAM-ACTE-05"


@settings(max_examples=150, deadline=None)
@given(code=st.sampled_from(sorted(EDITION)), position=st.sampled_from(["dp", "dr", "das"]))
def test_every_code_has_a_rule_in_every_position(code: str, position: str) -> None:
    rule = position_rule(position, code)  # type: ignore[arg-type]
    assert rule.id in load_guide()
    assert eligibility(code, position)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("position", "code", "dp", "rule"),
    [
        ("dp", "I63.9", None, "GM2026-V-AVC-01"),
        ("dp", "R07.4", None, "GM2026-VI-D2"),
        ("dp", "J18.9", None, "GM2026-VI-D1"),
        ("dp", "Z51.1", None, "GM2026-VI-T1"),
        ("dp", "Z94.1", None, "GM2026-VI-S2"),
        ("dr", "C50.9", "Z51.1", "GM2026-VI-T1"),
        ("dr", "C18.7", "Z08.0", "GM2026-VI-S1"),
        ("dr", "I69.3", "Z51.5", "GM2026-V-AVC-16"),
        ("das", "I10", None, "GM2026-IV-DAS-01"),
        ("das", "Z37.0", None, "GM2026-VI-T12"),
    ],
)
def test_position_rule(position: str, code: str, dp: str | None, rule: str) -> None:
    assert position_rule(position, code, dp).id == rule  # type: ignore[arg-type]


def test_tables_resolve_and_cite_existing_rules() -> None:
    tables = check_tables()
    codes = list(EDITION)
    assert [text for text in tables.expressions() if not any(map(expression(text).matches, codes))] == []
    assert [rule for rule in tables.rule_ids() if rule not in load_guide()] == []
    for motive in (*treatments(), *acute_states(), *explorations()):
        assert motive.rule_id in load_guide()
        for text in (*motive.dp, *motive.dr_categories):
            assert any(map(expression(text).matches, codes)), text


def test_imposed_treatment_codes_are_legal_as_dp() -> None:
    for motive in (*treatments(), *explorations()):
        for text in motive.dp:
            codes = [code for code in EDITION if expression(text).matches(code)]
            assert any(EDITION.is_allowed(code, "dp") for code in codes), motive.key


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(st.sampled_from(sorted(check_tables().expressions())), min_size=1, max_size=6),
    code=st.sampled_from(sorted(EDITION)),
)
def test_the_fast_matcher_agrees_with_each_expression(texts: list[str], code: str) -> None:
    matcher = Matcher.from_expressions(tuple(texts))
    assert matcher.matches(code) == any(Expression.parse(text).matches(code) for text in texts)


def words(text: str) -> tuple[Evidence, ...]:
    return (Evidence(quote=text, start=0, end=len(text)),)


def test_a_reader_s_facts_replace_word_matching() -> None:
    rum = Rum(dp="I5019", das=("I269", "E440"))
    stay = Stay(text="Embolie pulmonaire. Dénutrition, IMC 21 kg/m2, régime enrichi.", age=80)
    facts = ReportFacts(present={"I5019": (), "E440": ()}, managed={"E440": ()}, negated={"I269": words("Embolie")})
    found = check(rum, stay, EDITION, None, facts)
    assert {(f.rule_id, f.severity) for f in found} >= {("GM2026-IV-DAS-05", "blocking")}
    assert found[0].evidence[0].quote == "Embolie"
    assert "GM2026-IV-DAS-05" not in rule_ids(rum, stay)


def test_a_reader_s_values_are_used() -> None:
    stay = Stay(text="Dénutrition.", age=80)
    facts = ReportFacts(present={"E43": ()}, managed={"E43": ()}, values=(LabValue("imc", 21.5, "kg/m2", "IMC", 0, 3),))
    assert "GM2026-V-DENUT-07" in rule_ids(Rum(dp="I5019", das=("E43",)), stay, facts)


def test_a_dp_that_appeared_in_the_stay_blocks_when_a_reader_says_so() -> None:
    facts = ReportFacts(present={"J189": ()}, appeared={"J189": words("J5")})
    assert rule_ids(Rum(dp="J189"), Stay(text="J5"), facts)["GM2026-IV-DP-02"] == "blocking"
    facts = ReportFacts(present={"J189": ()}, appeared={"J189": words("J5")}, motive={"J189": ()})
    assert "GM2026-IV-DP-02" not in rule_ids(Rum(dp="J189"), Stay(text="J5"), facts)


def test_a_coding_is_checked_like_its_bare_codes() -> None:
    proof = words("AVC")
    dp = CodedDiagnosis(code="I639", display="I63.9", label="", position="dp", confidence=1, evidence=proof,
                        rule_id="GM2026-V-AVC-01", rule_source="Guide")  # fmt: skip
    das = dp.model_copy(update={"code": "I64", "display": "I64", "position": "das"})
    coding = Coding(dp=dp, das=(das,))
    assert check(coding, None, EDITION) == check(coding.to_rum(), None, EDITION)
    assert "GM2026-V-AVC-02" in {f.rule_id for f in check(coding, None, EDITION)}


def test_acts_are_looked_up_in_the_edition() -> None:
    rum = Rum(dp="K358", acts=(RumAct(code="HHFA016", activity="7", phase="0", date="2026-01-02"),))
    assert rule_ids(rum)["CCAM-ACTE-02"] == "blocking"
    unknown = Rum(dp="K358", acts=(RumAct(code="ZZZZ999", activity="1", phase="0", date="2026-01-02"),))
    assert rule_ids(unknown)["CCAM-ACTE-01"] == "info"  # the starter CCAM is partial: it cannot condemn


def test_findings_come_blocking_first_and_once() -> None:
    rum = Rum(dp="E119", das=("I10", "I10", "I639", "I64"))
    found = check(rum, None, EDITION)
    assert [f.severity for f in found] == sorted((f.severity for f in found), key=["blocking", "review", "info"].index)
    assert len({(f.rule_id, f.codes) for f in found}) == len(found)


def test_a_report_without_a_word_on_the_codes_raises_nothing_strange() -> None:
    assert check(Rum(dp="J189"), Stay(text="\n \n"), EDITION) == []


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(max_size=400),
    codes=st.lists(st.sampled_from(sorted(EDITION)), min_size=1, max_size=6),
    age=st.integers(0, 110),
)
def test_any_text_and_codes_are_checked_without_error(text: str, codes: list[str], age: int) -> None:
    stay = Stay(text=text, age=age, sex="F")
    for finding in check(Rum(dp=codes[0], das=tuple(codes[1:])), stay, EDITION):
        assert finding.rule_id in load_guide()
        for proof in finding.evidence:
            assert text[proof.start : proof.end] == proof.quote


def test_the_guide_s_own_code_lists_pass(shared_dir: Path) -> None:
    """Lists « nature, T code, Y code » printed in ch. V: complete ones pass, those printed without Y lack only it."""
    folder = shared_dir / "referentiels" / "guide_mco_2026" / "chapitre_V"
    code = r"[A-Z][0-9]{2}(?:\.[0-9+]+)?(?:\.?–)?"
    count = 0
    for path in sorted(folder.glob("*.md")):
        for line in path.read_text(encoding="utf-8").splitlines():
            match = re.search(rf":\s*({code}(?:(?:, | et ){code})+)\s*[;.]?\s*$", line)
            if not line.startswith(">") or match is None:
                continue
            first, *others = re.split(", | et ", match.group(1))
            rum = Rum(dp=_codable(first, "dp"), das=tuple(_codable(other, "das") for other in others))
            found = {f.rule_id for f in check(rum, None, EDITION) if f.severity != "info"}
            kinds = {other[0] for other in others}
            partial = "T" in kinds and "Y" not in kinds
            assert found == ({"GM2026-V-COMPLI-07"} if partial else set()), line
            count += 1
    assert count >= 40


def _codable(printed: str, position: str) -> str:
    code = stored(printed.replace("–", "").rstrip("."))
    if EDITION.is_allowed(code, position):  # type: ignore[arg-type]
        return code
    return next(c for c in EDITION if c.startswith(code) and EDITION.is_allowed(c, position))  # type: ignore[arg-type]


def test_twenty_diagnoses_are_checked_in_time() -> None:
    """≤ 20 ms measured on an idle machine; the bound here leaves room for a busy one."""
    das = ("I10", "E1198", "C795", "E43", "D62", "J960", "N179", "A415", "L899", "I5019", "I489", "I269", "J189",
           "N390", "E876", "F059", "G8100", "K560", "B962")  # fmt: skip
    rum = Rum(dp="I639", das=das, acts=(RumAct(code="ACQH003"),))
    text = "Motif :\nHémiplégie brutale.\n" + "Le patient va bien, traitement poursuivi.\n" * 100
    stay = Stay(text=text, sex="M", age=62)
    check(rum, stay, EDITION)
    times = []
    for _ in range(7):
        start = time.process_time()
        check(rum, stay, EDITION)
        times.append(time.process_time() - start)
    assert min(times) < 0.05


def test_the_rules_are_pure() -> None:
    """Neither LangChain, nor Qdrant, nor a model comes with the rules."""
    code = (
        "import sys, pmsi_chain.rules as r; r.load_guide(); "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "{'langchain_core', 'langchain', 'qdrant_client', 'qdrant_edge', 'onnxruntime', 'flashrank', 'torch'}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_check_is_documented_with_what_it_looks_for() -> None:
    assert len({run.__qualname__ for run in CHECKS}) == len(CHECKS)
    assert all(run.__doc__ for run in CHECKS)


@dataclass(frozen=True)
class _Noted:
    """An entry of the real edition, with a note or a CMA level that only official files carry."""

    entry: Cim10Entry
    exclusion_notes: tuple[str, ...] = ()
    cma_level: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.entry, name)


class _Annotated:
    """The real edition with attachments on some codes."""

    version = EDITION.version

    def __init__(self, **attached: dict[str, Any]) -> None:
        self.attached = attached

    def get(self, code: str) -> Any:
        entry = EDITION.get(code)
        return _Noted(entry, **self.attached[code]) if entry and code in self.attached else entry

    def is_allowed(self, code: str, position: Position) -> bool:
        return EDITION.is_allowed(code, position)

    def nearest(self, code: str, position: Position | None = None, n: int = 5) -> tuple[str, ...]:
        return EDITION.nearest(code, position, n)


def test_exclusion_notes_of_the_category_are_information() -> None:
    edition = _Annotated(J18={"exclusion_notes": ("abcès avec pneumopathie [J85.1]", "formes larges [J60-J70]")})
    found = check(Rum(dp="J189", das=("J851", "J64")), None, edition)
    assert {(f.rule_id, f.severity, f.codes) for f in found} == {("CIM10-PRECISION-02", "info", ("J189", "J851"))}
    assert check(Rum(dp="J189", das=("J851",)), None, EDITION) == []


def test_a_cma_needs_its_proof() -> None:
    stay = Stay(text="Décompensation cardiaque, furosémide.\nRectocolite hémorragique connue.")
    edition = _Annotated(K519={"cma_level": 2})
    rum = Rum(dp="I5019", das=("K519",))
    assert [f for f in check(rum, stay, EDITION) if f.rule_id == "GM2026-IV-DAS-02"] == []
    facts = ReportFacts(present={"I5019": (), "K519": words("Rectocolite")})
    found = [f for f in check(rum, stay, edition, None, facts) if f.rule_id == "GM2026-IV-DAS-02"]
    assert "CMA de niveau 2" in found[0].message
    cared = ReportFacts(present=facts.present, managed={"K519": words("mésalazine")})
    assert [f for f in check(rum, stay, edition, None, cared) if f.rule_id == "GM2026-IV-DAS-02"] == []


def test_notes_of_the_ccam_set_acts_apart() -> None:
    class Ccam:
        version = "2026"

        def get(self, code: str) -> CcamEntry | None:
            notes = ("À l'exclusion de : exérèse par abord direct (HHFA011)",) if code == "HHFA016" else ()
            return CcamEntry(code=code, label=code, notes=notes, valid_to=date(2025, 12, 31) if notes else None)

        def nearest(self, code: str, n: int = 5) -> tuple[str, ...]:
            return ()

    lines = tuple(RumAct(code=c, activity="1", phase="0", date="2026-01-02") for c in ("HHFA016", "HHFA011"))
    found = {(f.rule_id, f.severity) for f in check(Rum(dp="K358", acts=lines), None, EDITION, Ccam())}
    assert found == {("CCAM-ACTE-04", "review"), ("CCAM-ACTE-01", "blocking")}


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.from_edition(EDITION, load_lexicon())


@pytest.mark.parametrize("case", [row for row in (*WRONG, *RIGHT) if row[3].get("text")], ids=lambda case: case[1])
def test_a_reading_serves_the_same_checks(reader: Reader, case: tuple[str, str, Any, Any]) -> None:
    rule, _, rum, stay = case
    coding = Rum.model_validate({name: tuple(v) if isinstance(v, list) else v for name, v in rum.items()})
    found = check(coding, Stay(**stay), EDITION, load_ccam(), reading=reader.read(stay["text"]))
    serious = {f.rule_id for f in found if f.severity != "info"}
    assert (rule in serious) if case in WRONG else (serious == set())


def test_eligibility_names_the_other_side_and_the_hole() -> None:
    found = {item.rule_id: item for item in eligibility("E43", "das")}
    assert found["GM2026-V-DENUT-08"].exclusion_rules == ("Ne va pas avec : E44, E46.",)
    assert "Lacune du Guide" in found["GM2026-V-DENUT-11"].criteria_text
