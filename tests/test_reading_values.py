"""Laboratory and clinical values: facts with unit and range. All lines are invented."""

from __future__ import annotations

import pytest

from pmsi_chain.reading import LabValue
from tests.reading_support import bare_reader


def values(text: str) -> tuple[LabValue, ...]:
    return bare_reader().read(text).values


@pytest.mark.parametrize(
    ("text", "name", "value", "unit", "flag", "source"),
    [
        ("Potassium : 2.8 mmol/L (valeur normale : 3.5-5.0 mmol/L)", "kaliemie", 2.8, "mmol/L", "low", "printed"),
        ("Kaliémie à 5,9 mmol/L", "kaliemie", 5.9, "mmol/L", "high", "usual"),
        ("K+ 4,1 mmol/l", "kaliemie", 4.1, "mmol/l", "normal", "usual"),
        ("hyponatrémie à 121 mmol/L", "natremie", 121.0, "mmol/L", "low", "usual"),
        ("NA 128", "natremie", 128.0, "", "low", "usual"),
        ("Hb 7,9 g/dL", "hemoglobine", 7.9, "g/dL", "low", "usual"),
        ("Hémoglobine à 79 g/L", "hemoglobine", 79.0, "g/L", "low", "usual"),
        ("anémie à 8 g/dL", "hemoglobine", 8.0, "g/dL", "low", "usual"),
        ("Hb : 8.1 g/dl (N: 12-16)", "hemoglobine", 8.1, "g/dl", "low", "printed"),
        ("albumine 24 g/L", "albumine", 24.0, "g/L", "low", "usual"),
        ("Albumine : 2.5 g/dL (valeur normale > 3.5 g/dL)", "albumine", 2.5, "g/dL", "low", "printed"),
        ("IMC 17,2 kg/m²", "imc", 17.2, "kg/m²", "low", "usual"),
        ("IMC = 42", "imc", 42.0, "", "high", "usual"),
        ("créatinine 180 µmol/L", "creatinine", 180.0, "µmol/L", "high", "usual"),
        ("Créatinine : 1.4 mg/dL (valeur normale : < 1.3 mg/dL)", "creatinine", 1.4, "mg/dL", "high", "printed"),
        ("SpO2 86 % en air ambiant", "spo2", 86.0, "%", "low", "usual"),
        ("Saturation en oxygène à 92%", "spo2", 92.0, "%", "low", "usual"),
        ("Glasgow 13", "glasgow", 13.0, "", "low", "usual"),
        ("score de Glasgow à 15/15", "glasgow", 15.0, "/15", "normal", "usual"),
        ("CRP 180 mg/L", "crp", 180.0, "mg/L", "high", "usual"),
        ("CPK 4 500 UI/L (N < 200)", "cpk", 4500.0, "UI/L", "high", "printed"),
        ("Plaquettes 45 000/mm3", "plaquettes", 45000.0, "/mm3", "low", "usual"),
        ("| Sodium | 151 | mmol/L | 135 - 145 |", "natremie", 151.0, "mmol/L", "high", "printed"),
        ("**Sodium :** 130 mmol/L (valeur normale 135-145 mmol/L)", "natremie", 130.0, "mmol/L", "low", "printed"),
        ("DFG 28 mL/min/1,73m²", "dfg", 28.0, "mL/min/1,73m²", "low", "usual"),
        ("Température 39,2°C", "temperature", 39.2, "°C", "high", "usual"),
        ("FEVG 30 %", "fevg", 30.0, "%", "low", "usual"),
    ],
)
def test_value(text: str, name: str, value: float, unit: str, flag: str, source: str) -> None:
    (found,) = values(text)
    assert (found.name, found.value, found.unit, found.flag, found.flag_source) == (name, value, unit, flag, source)


def test_the_quote_holds_name_value_unit_and_range() -> None:
    text = "Bilan : Potassium : 2,8 mmol/L (N : 3,5-5,0), le reste est normal."
    (found,) = values(text)
    assert text[found.start : found.end] == "Potassium : 2,8 mmol/L (N : 3,5-5,0)"
    assert (found.low, found.high) == (3.5, 5.0)


def test_a_printed_range_wins_over_the_usual_one() -> None:
    assert values("Kaliémie 3,4 mmol/L")[0].flag == "low"
    assert values("Kaliémie 3,4 mmol/L (N 3,3-5,1)")[0].flag == "normal"


def test_the_next_value_is_no_range() -> None:
    found = values("Na 128 mmol/L, K 3,1 mmol/L, Hb 9,4 g/dL")
    assert [(v.name, v.value, v.low) for v in found] == [
        ("natremie", 128.0, None),
        ("kaliemie", 3.1, None),
        ("hemoglobine", 9.4, None),
    ]


def test_a_value_knows_its_section() -> None:
    assert [v.section for v in values("Biologie :\nNa 128 mmol/L\nConclusion :\nhyponatrémie à 128 mmol/L")] == [
        "biologie",
        "conclusion",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Calcium 1000 mg par jour",
        "Potassium 600 mg 2 gélules",
        "Fièvre depuis 3 jours",
        "T 3 N0",
        "Kaliémie normale",
        "Transfusion de 2 CGR pour anémie",
        "Patient de 71 ans",
        "Hb le 12/03/2026",
        "",
    ],
)
def test_no_value(text: str) -> None:
    assert values(text) == ()
