"""Checker cases, each written from one rule and citing it: codings to be caught, and codings to be left alone."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pmsi_chain import check_coding
from pmsi_chain.domain import Finding, Rum, Stay
from pmsi_chain.errors import InputError
from pmsi_chain.nomenclature import load_ccam, load_cim10
from pmsi_chain.rules import check, load_guide

#: (rule, what is wrong, the coding, the stay)
Case = tuple[str, str, dict[str, Any], dict[str, Any]]

WRONG: list[Case] = [
    ("GM2026-IV-DP-01", "pas de DP", {"das": ["I10"]}, {}),
    ("CIM10-CODE-01", "code inexistant", {"dp": "J18.77"}, {}),
    ("CIM10-CODE-02", "code père", {"dp": "E11.9"}, {}),
    ("CIM10-CODE-02", "code supprimé", {"dp": "N10", "das": ["R65.1"]}, {}),
    ("CIM10-CODE-03", "type 1 en DP", {"dp": "Z51.9"}, {}),
    ("GM2026-IV-DP-04", "cause externe en DP", {"dp": "W19.0"}, {}),
    ("GM2026-V-GERMES-01", "germe en DP", {"dp": "B96.2", "das": ["N10"]}, {}),
    ("GM2026-V-O80-01", "forceps en DP", {"dp": "O81.0", "das": ["Z37.0"]}, {"sex": "F", "age": 30}),
    ("GM2026-V-COMPLI-03", "T imprécis en DP", {"dp": "T81.4", "das": ["Y83.6"]}, {}),
    ("GM2026-V-COMPLI-05", "K91.9 en DP", {"dp": "K91.9", "das": ["Y83.6"]}, {}),
    ("GM2026-V-Z-10", "dépistage en DP", {"dp": "Z12.1"}, {}),
    ("GM2026-IV-DR-02", "DR derrière une maladie", {"dp": "J18.9", "dr": "J44.9"}, {}),
    ("GM2026-IV-DR-05", "DR aigu", {"dp": "Z09.8", "dr": "J18.9"}, {}),
    ("GM2026-V-Z-46", "DR derrière un antécédent", {"dp": "Z80.00", "dr": "I10"}, {}),
    ("GM2026-V-Z-21", "DR derrière Z38", {"dp": "Z38.0", "dr": "P07.3"}, {"age": 0}),
    ("GM2026-V-AVC-02", "I64 et I63", {"dp": "I63.9", "das": ["I64"]}, {}),
    ("GM2026-V-AVC-04", "AIT et AVC", {"dp": "I63.9", "das": ["G45.9"]}, {}),
    ("GM2026-V-AVC-07", "G46.0 avec un infarctus", {"dp": "I63.9", "das": ["G46.0"]}, {}),
    ("GM2026-V-AVC-09", "I65 avec un infarctus", {"dp": "I63.9", "das": ["I65.2"]}, {}),
    ("GM2026-V-AVC-15", "séquelle et antécédent", {"dp": "R26.1", "das": ["I69.3", "Z86.70"]}, {}),
    ("GM2026-V-AVC-02", "I64 malgré un scanner", {"dp": "I64"},
     {"text": "Hémiplégie brutale. Le scanner cérébral montre un infarctus sylvien."}),
    ("GM2026-V-SEPSIS-02", "R65.0 avec un sepsis", {"dp": "A41.5", "das": ["R65.0"]}, {}),
    ("GM2026-V-SEPSIS-04", "choc septique sans sepsis", {"dp": "N10", "das": ["R57.2"]}, {}),
    ("GM2026-V-SEPSIS-01", "sepsis jamais écrit", {"dp": "A41.5"},
     {"text": "Fièvre. Une hémoculture positive à entérobactérie. Antibiothérapie."}),
    ("GM2026-V-Z-13", "Z21 avec un SIDA", {"dp": "B24+9", "das": ["Z21"]}, {}),
    ("GM2026-V-Z-35", "Z51.2 pour un cancer", {"dp": "Z51.2", "dr": "C50.9"}, {}),
    ("GM2026-V-Z-35", "Z51.1 pour une polyarthrite", {"dp": "Z51.1", "dr": "M05.9"}, {}),
    ("GM2026-V-Z-37", "Z51.1 sans DR", {"dp": "Z51.1"}, {}),
    ("GM2026-VI-T1", "hémodialyse sans DR", {"dp": "Z49.1"}, {}),
    ("GM2026-VI-T11", "soins palliatifs sans DR", {"dp": "Z51.5"}, {}),
    ("GM2026-V-Z-08", "Z08 pour un diabète", {"dp": "Z08.9", "dr": "E11.98"}, {}),
    ("GM2026-V-Z-31", "fracture avec Z47.0", {"dp": "Z47.0", "das": ["S82.20"]}, {}),
    ("GM2026-V-Z-51", "Z96.6 et pose de prothèse", {"dp": "M16.1", "das": ["Z96.6"], "acts": ["NEKA020"]}, {}),
    ("GM2026-V-Z-38", "Z51.30 et transfusion", {"dp": "D46.4", "das": ["Z51.30"], "acts": ["FELF011"]}, {}),
    ("GM2026-V-Z-20", "accouchement sans Z37", {"dp": "O80.0"}, {"sex": "F", "age": 28}),
    ("GM2026-V-IMPROMPTU-01", "acte d'accouchement impromptu",
     {"dp": "Z39.00", "das": ["Z37.0"], "acts": ["JQGD010"]}, {"sex": "F", "age": 28}),
    ("GM2026-V-Z-52", "Z99.2 pour une IRA", {"dp": "N17.9", "das": ["Z99.2"]}, {}),
    ("GM2026-V-Z-03", "Z03 malgré un symptôme", {"dp": "Z03.4", "das": ["R07.4"]}, {}),
    ("GM2026-V-ATCD-04", "cancer et antécédent du même", {"dp": "C50.9", "das": ["Z85.3"]}, {}),
    ("GM2026-V-CHUTES-03", "chute en DP malgré une fracture", {"dp": "R29.6", "das": ["S72.00", "W19.0"]}, {}),
    ("GM2026-V-EFFETS-01", "intoxication sans circonstance", {"dp": "T42.4"}, {}),
    ("GM2026-V-EFFETS-02", "coma devant l'intoxication", {"dp": "R40.2", "das": ["T42.4", "X61.0"]}, {}),
    ("GM2026-V-EFFETS-03", "empoisonnement et effet indésirable", {"dp": "T45.5", "das": ["Y44.2", "X44.0"]}, {}),
    ("GM2026-V-BRULES-01", "brûlure sans cause", {"dp": "T24.3"}, {}),
    ("GM2026-V-COMPLI-07", "luxation de prothèse sans circonstance", {"dp": "T84.0"}, {}),
    ("GM2026-V-COMPLI-06", "abcès de paroi sans code T", {"dp": "L02.2", "das": ["Y83.6"]}, {}),
    ("GM2026-V-GERMES-02", "germe sans infection", {"dp": "I50.19", "das": ["B96.2"]}, {}),
    ("GM2026-V-RESIST-02", "portage sans Z22", {"dp": "I50.19", "das": ["U82.101"]}, {}),
    ("GM2026-V-SEQUELLES-01", "séquelle en DP", {"dp": "I69.3"}, {}),
    ("GM2026-IV-DAS-04", "doublon", {"dp": "I50.19", "das": ["I50.19"]}, {}),
    ("CIM10-PRECISION-01", "imprécis à côté du précis", {"dp": "I50.19", "das": ["I50.9"]}, {}),
    ("CIM10-PRECISION-01", "N39.0 à côté de N10", {"dp": "N10", "das": ["N39.0"]}, {}),
    ("GM2026-IV-DAS-03", "dyspnée de l'insuffisance cardiaque", {"dp": "I50.19", "das": ["R06.0"]}, {}),
    ("GM2026-VI-D1", "symptôme en DP, cause codée", {"dp": "R07.4", "das": ["I20.0"]}, {}),
    ("CIM10-DAGUE-01", "astérisque seul", {"dp": "I50.19", "das": ["G63.2"]}, {}),
    ("CIM10-DAGUE-02", "astérisque devant la dague", {"dp": "H36.0", "das": ["E11.30"]}, {}),
    ("CIM10-PATIENT-01", "prostate chez une femme", {"dp": "N40"}, {"sex": "F", "age": 60}),
    ("CIM10-PATIENT-02", "Z38 chez un adulte", {"dp": "Z38.0"}, {"age": 40}),
    ("CIM10-PATIENT-02", "grossesse à 75 ans", {"dp": "O14.1"}, {"sex": "F", "age": 75}),
    ("GM2026-V-PRECARITE-02", "illettrisme à 9 ans", {"dp": "J45.9", "das": ["Z55.00"]}, {"age": 9}),
    ("GM2026-IV-DAS-05", "affection niée", {"dp": "I50.19", "das": ["I26.9"]},
     {"text": "Décompensation cardiaque, traitée par furosémide. L'angioscanner montre "
              "l'absence d'embolie pulmonaire."}),
    ("GM2026-V-ATCD-01", "affection du père", {"dp": "I50.19", "das": ["I21.98"]},
     {"text": "Décompensation cardiaque. Père décédé d'un infarctus du myocarde à 50 ans."}),
    ("GM2026-IV-DAS-05", "simple suspicion", {"dp": "R07.4", "das": ["I26.9"]},
     {"text": "Douleur thoracique. Suspicion d'embolie pulmonaire."}),
    ("GM2026-V-ATCD-01", "infarctus de 2009", {"dp": "J18.9", "das": ["I21.98"]},
     {"text": "Antécédents :\nInfarctus du myocarde en 2009.\nConclusion :\nPneumopathie, amoxicilline."}),
    ("GM2026-IV-DP-02", "DP apparu pendant le séjour", {"dp": "J18.9", "das": ["S72.00", "W19.0"]},
     {"text": "Admis pour fracture du col fémoral, opéré. Une pneumopathie est survenue au "
              "cours du séjour, antibiothérapie."}),
    ("GM2026-IV-DAS-02", "dénutrition sans prise en charge", {"dp": "I50.19", "das": ["E44.0"]},
     {"text": "Décompensation cardiaque. Patient dénutri, IMC 21 kg/m2.", "age": 80}),
    ("GM2026-V-D62-01", "hémoglobine normale", {"dp": "M16.1", "das": ["D62"]},
     {"text": "Anémie après la chute. Hémoglobine 13,4 g/dl. Transfusion de deux culots pour saignement.", "sex": "M"}),
    ("GM2026-V-D62-02", "pertes prévues d'une prothèse de hanche", {"dp": "M16.1", "das": ["D62"]},
     {"text": "Prothèse totale de hanche. Anémie postopératoire, Hb 8,9 g/dl, transfusion de "
              "deux culots.", "sex": "F"}),
    ("GM2026-V-DENUT-05", "E43 avec un IMC de 18 à 50 ans", {"dp": "K50.9", "das": ["E43"]},
     {"text": "Dénutrition sévère, IMC 18 kg/m2, compléments nutritionnels oraux.", "age": 50}),
    ("GM2026-V-DENUT-08", "E44.0 avec un IMC de 15", {"dp": "K50.9", "das": ["E44.0"]},
     {"text": "Dénutrition, IMC 15 kg/m2, compléments nutritionnels oraux.", "age": 50}),
    ("GM2026-V-DENUT-01", "albumine seule", {"dp": "K50.9", "das": ["E43"]},
     {"text": "Dénutrition, albumine 26 g/l, compléments nutritionnels oraux.", "age": 50}),
    ("GM2026-V-DENUT-09", "dénutrition jamais écrite", {"dp": "K50.9", "das": ["E43"]},
     {"text": "IMC 15 kg/m2, compléments oraux.", "age": 50}),
    ("GM2026-V-IRESP-01", "J96.0 avec SpO2 à 95 %", {"dp": "J44.1", "das": ["J96.0"]},
     {"text": "Insuffisance respiratoire aiguë, SpO2 95 % en air ambiant, oxygène."}),
    ("GM2026-V-CYSTITE-01", "N30.0 sans signes", {"dp": "N30.0"}, {"text": "Cystite. ECBU positif."}),
    ("GM2026-V-CHUTES-01", "une seule chute", {"dp": "R29.6"}, {"text": "Admis après une chute de sa hauteur."}),
    ("GM2026-V-INSULINE-01", "E11.90 sans insuline", {"dp": "J18.9", "das": ["E11.90"]},
     {"text": "Pneumopathie, amoxicilline. Diabète de type 2 sous metformine."}),
    ("GM2026-V-IRF-01", "IRA fonctionnelle en N17", {"dp": "E86", "das": ["N17.9"]},
     {"text": "Déshydratation. Insuffisance rénale aiguë fonctionnelle, réhydratation."}),
    ("GM2026-V-OAP-01", "OAP cardiogénique en J81", {"dp": "J81"}, {"text": "OAP d'origine cardiaque, furosémide."}),
    ("GM2026-V-RESIST-03", "BMR jamais écrite", {"dp": "N10", "das": ["B96.2", "U83.710"]},
     {"text": "Pyélonéphrite à E. coli résistant à plusieurs antibiotiques."}),
    ("GM2026-V-IDM-02", "prise en charge initiale après les soins intensifs", {"dp": "I21.10"},
     {"text": "Patient transféré des soins intensifs après un infarctus inférieur."}),
    ("GM2026-V-Z-28", "première pose codée Z45.0", {"dp": "Z45.0"},
     {"text": "Bloc auriculoventriculaire complet. Implantation d'un stimulateur double chambre."}),
    ("GM2026-V-ANGIOME-01", "angiome du foie en D18", {"dp": "D18.0"}, {"text": "Angiome hépatique de 6 cm."}),
    ("GM2026-VI-T1", "séance de chimiothérapie codée en cancer", {"dp": "C50.9"},
     {"text": "Motif :\nCure de chimiothérapie pour un cancer du sein.\nConclusion :\nBonne tolérance."}),
    ("GM2026-VI-T7", "ablation de plaque codée en fracture", {"dp": "S82.20", "das": ["W19.0"]},
     {"text": "Motif : ablation de plaque du tibia.\nConclusion : suites simples."}),
    ("GM2026-VI-D3", "polysomnographie codée en apnées", {"dp": "G47.3"},
     {"text": "Motif : polysomnographie.\nConclusion : apnées du sommeil."}),
    ("GM2026-VI-D1", "symptôme gardé en DP malgré le diagnostic", {"dp": "R10.1"},
     {"text": "Motif : douleur épigastrique.\nConclusion : ulcère gastrique traité par oméprazole."}),
    ("CCAM-ACTE-06", "acte dont rien ne parle", {"dp": "J18.9", "acts": ["HHFA016"]},
     {"text": "Pneumopathie traitée par amoxicilline."}),
    ("CCAM-ACTE-03", "acte après la sortie",
     {"dp": "K35.8", "acts": [{"code": "HHFA016", "activity": "1", "phase": "0", "date": "2026-02-09"}]},
     {"admission_date": date(2026, 2, 1), "discharge_date": date(2026, 2, 4)}),
]  # fmt: skip

RIGHT: list[Case] = [
    ("GM2026-VI-D1", "pneumonie découverte", {"dp": "J18.9"}, {"text": "Fièvre et toux. Pneumopathie, amoxicilline."}),
    ("GM2026-VI-D2", "douleur abdominale sans cause", {"dp": "R10.4", "das": ["I10"]}, {"sex": "F", "age": 45}),
    ("GM2026-VI-D3", "polysomnographie", {"dp": "Z04.801", "dr": "G47.3"}, {}),
    ("GM2026-VI-D4", "coloscopie normale, antécédent familial", {"dp": "Z80.00"}, {}),
    ("GM2026-VI-D6", "exacerbation de BPCO", {"dp": "J44.1", "das": ["F17.2"]}, {}),
    ("GM2026-VI-D7", "métastase d'un cancer connu", {"dp": "C79.3", "das": ["C34.1"]}, {}),
    ("GM2026-VI-D8", "fracture chez un diabétique", {"dp": "S72.00", "das": ["E11.98", "W19.0"]}, {}),
    ("GM2026-VI-D9", "bilan d'extension", {"dp": "C34.1", "das": ["C78.7"]}, {}),
    ("GM2026-VI-T1", "chimiothérapie", {"dp": "Z51.1", "dr": "C50.9", "das": ["C79.5"]}, {"sex": "F", "age": 55}),
    ("GM2026-VI-T1", "hémodialyse", {"dp": "Z49.1", "dr": "N18.5"}, {}),
    ("GM2026-VI-T1", "transfusion", {"dp": "Z51.30", "dr": "D46.4", "acts": ["FELF011"]}, {}),
    ("GM2026-VI-T2", "ponction d'ascite", {"dp": "R18", "das": ["K74.6"]}, {}),
    ("GM2026-VI-T3", "adénome de prostate opéré", {"dp": "N40"}, {"sex": "M", "age": 70}),
    ("GM2026-VI-T4", "esthétique avec son motif en DR", {"dp": "Z41.1", "dr": "M95.0"}, {}),
    ("GM2026-VI-T5", "reconstruction mammaire", {"dp": "Z42.1", "dr": "Z90.1"}, {"sex": "F", "age": 52}),
    ("GM2026-VI-T6", "confort", {"dp": "Z41.80", "dr": "H52.1"}, {}),
    ("GM2026-VI-T7", "fistule de dialyse", {"dp": "Z49.0", "dr": "N18.5"}, {}),
    ("GM2026-VI-T11", "soins palliatifs", {"dp": "Z51.5", "dr": "C54.9"}, {"sex": "F", "age": 80}),
    ("GM2026-VI-T12", "accouchement normal", {"dp": "O80.0", "das": ["Z37.0"]}, {"sex": "F", "age": 29}),
    ("GM2026-VI-T13", "nouveau-né en maternité", {"dp": "Z38.0", "das": ["P03.4", "Z13.51"]}, {"age": 0}),
    ("GM2026-VI-T15", "mastectomie prophylactique", {"dp": "Z40.00", "dr": "Z80.3"}, {"sex": "F", "age": 40}),
    ("GM2026-VI-S1", "surveillance d'un cancer du côlon", {"dp": "Z08.0", "dr": "C18.7", "das": ["K57.3"]}, {}),
    ("GM2026-VI-S2", "greffé du cœur", {"dp": "Z94.1", "das": ["I10"]}, {}),
    ("GM2026-VI-1.6-1", "chimiothérapie annulée", {"dp": "J18.9", "das": ["Z53.0", "C50.9"]}, {"sex": "F", "age": 60}),
    ("GM2026-V-AVC-06", "AVC avec hémiplégie et aphasie", {"dp": "I63.4", "das": ["G81.00", "R47.00", "I48.9"]}, {}),
    ("GM2026-V-AVC-08", "infarctus et syndrome lacunaire", {"dp": "I63.9", "das": ["G46.5"]}, {}),
    ("GM2026-V-AVC-12", "épilepsie après AVC", {"dp": "G40.2", "das": ["I69.3"]}, {}),
    ("GM2026-V-AVC-14", "surveillance d'un AVC séquellaire", {"dp": "Z09.8", "dr": "I69.3", "das": ["G81.1"]}, {}),
    ("GM2026-V-IMPROMPTU-01", "accouchement en chemin", {"dp": "Z39.00", "das": ["Z37.0"]}, {"sex": "F", "age": 31}),
    ("GM2026-V-D62-03", "plaie vasculaire peropératoire", {"dp": "C18.7", "das": ["D62"]},
     {"text": "Colectomie. Plaie vasculaire, hémorragie massive : Hb 6,8 g/dl, transfusion de "
              "huit culots. Anémie aiguë.",
      "sex": "M", "age": 66}),
    ("GM2026-V-GANGRENE-01", "gangrène avec I70.21", {"dp": "I70.21", "das": ["R02"]}, {}),
    ("GM2026-V-VITAMINES-01", "carence dosée", {"dp": "M80.0", "das": ["E55.9"]},
     {"text": "Fracture sur ostéoporose. Carence en vitamine D : dosage à 8 ng/ml, supplémentation.", "sex": "F"}),
    ("GM2026-V-CHUTES-02", "chutes répétées sans cause", {"dp": "R29.6"}, {"text": "Troisième chute en six mois."}),
    ("GM2026-V-COMPLI-06", "abcès de paroi", {"dp": "L02.2", "das": ["T81.4", "Y83.6"]}, {}),
    ("GM2026-V-COMPLI-02", "luxation de prothèse", {"dp": "T84.0", "das": ["Y83.1"]}, {}),
    ("GM2026-V-COMPLI-04", "lymphœdème après mastectomie", {"dp": "I97.2", "das": ["Y83.6"]}, {"sex": "F"}),
    ("GM2026-V-CYSTITE-01", "cystite prouvée", {"dp": "N30.0", "das": ["B96.2"]},
     {"text": "Cystite : brûlures mictionnelles, leucocyturie, ECBU à E. coli. Antibiothérapie.", "sex": "F"}),
    ("GM2026-V-INSULINE-01", "diabète sous insuline au long cours", {"dp": "J18.9", "das": ["E11.90"]},
     {"text": "Pneumopathie, amoxicilline. Diabète de type 2 sous insuline glargine au domicile, surveillé."}),
    ("GM2026-V-EFFETS-01", "intoxication volontaire", {"dp": "T42.4", "das": ["R40.0", "X61.0"]}, {}),
    ("GM2026-V-EFFETS-03", "bradycardie de la digitaline", {"dp": "R00.1", "das": ["Y52.0"]}, {}),
    ("GM2026-V-GERMES-02", "pyélonéphrite à colibacille", {"dp": "N10", "das": ["B96.2"]}, {}),
    ("GM2026-V-SANSVIE-01", "enfant né sans vie", {"dp": "P95+1"}, {"age": 0}),
    ("GM2026-V-IDM-01", "infarctus en soins intensifs", {"dp": "I21.10"},
     {"text": "Infarctus du myocarde inférieur, angioplastie en urgence en soins intensifs."}),
    ("GM2026-V-IRF-01", "insuffisance rénale fonctionnelle", {"dp": "E86", "das": ["R39.2"]}, {}),
    ("GM2026-V-IRESP-01", "détresse respiratoire prouvée", {"dp": "J44.1", "das": ["J96.0"]},
     {"text": "Exacerbation. Insuffisance respiratoire aiguë, SpO2 84 % en air ambiant, oxygène 3 l."}),
    ("GM2026-V-IG-01", "IVG", {"dp": "O04.90", "acts": ["JNJD002"]}, {"sex": "F", "age": 24}),
    ("GM2026-V-IG-08", "IMG après 22 semaines", {"dp": "O35.0", "das": ["Z37.11"]}, {"sex": "F", "age": 33}),
    ("GM2026-V-DENUT-05", "dénutrition sévère, IMC 16", {"dp": "K50.9", "das": ["E43"]},
     {"text": "Dénutrition sévère, IMC 16 kg/m2, renutrition par compléments oraux.", "age": 50}),
    ("GM2026-V-DENUT-04", "dénutrition modérée, IMC 18", {"dp": "K50.9", "das": ["E44.0"]},
     {"text": "Dénutrition modérée, IMC 18 kg/m2, avis diététique.", "age": 50}),
    ("GM2026-V-DENUT-06", "dénutrition modérée à 82 ans, IMC 21", {"dp": "I50.19", "das": ["E44.0"]},
     {"text": "Insuffisance cardiaque sous furosémide. Dénutrition, IMC 21 kg/m2, régime enrichi.", "age": 82}),
    ("GM2026-V-DENUT-07", "dénutrition sévère à 82 ans, IMC 19", {"dp": "I50.19", "das": ["E43"]},
     {"text": "Insuffisance cardiaque sous furosémide. Dénutrition, IMC 19 kg/m2, régime enrichi.", "age": 82}),
    ("GM2026-V-OAP-01", "OAP", {"dp": "I50.19"}, {"text": "OAP d'origine cardiaque, furosémide."}),
    ("GM2026-V-PRECARITE-07", "vit seul", {"dp": "I50.19", "das": ["Z60.20"]},
     {"text": "Insuffisance cardiaque sous furosémide. Vit seule, assistante sociale sollicitée."}),
    ("GM2026-V-RESIST-02", "SARM en portage", {"dp": "I50.19", "das": ["Z22.3", "Z29.0", "U82.101"]}, {}),
    ("GM2026-V-SEPSIS-04", "choc septique à colibacille", {"dp": "A41.5", "das": ["R57.2", "N10"]},
     {"text": "Choc septique sur pyélonéphrite : sepsis, hémocultures positives, noradrénaline, ceftriaxone."}),
    ("GM2026-V-SEQUELLES-01", "monoplégie de poliomyélite", {"dp": "G83.1", "das": ["B91"]}, {}),
    ("GM2026-V-SUICIDE-01", "plaie auto-infligée", {"dp": "S61.8", "das": ["X78.0"]}, {}),
    ("GM2026-V-ROUTE-01", "accident de la route", {"dp": "S06.00", "das": ["V89.2"]}, {}),
    ("GM2026-V-Z-18", "grossesse normale et fracture", {"dp": "S82.20", "das": ["Z33", "W19.0"]},
     {"sex": "F", "age": 30}),
    ("GM2026-V-Z-47", "soins dentaires sous AVK", {"dp": "K02.1", "das": ["Z92.1"]}, {}),
    ("GM2026-V-Z-31", "ablation de matériel", {"dp": "Z47.0"}, {}),
    ("CIM10-DAGUE-01", "rétinopathie diabétique", {"dp": "E11.30", "das": ["H36.0"]}, {}),
    ("CIM10-PATIENT-01", "cancer de la prostate chez un homme", {"dp": "C61"}, {"sex": "M", "age": 72}),
    ("GM2026-IV-DAS-05", "négation d'autre chose", {"dp": "I50.19", "das": ["I10"]},
     {"text": "Décompensation cardiaque, sans embolie pulmonaire. HTA traitée par ramipril."}),
    ("GM2026-V-ATCD-02", "chronique listé en antécédents", {"dp": "J18.9", "das": ["I10", "E11.98"]},
     {"text": "Antécédents :\nHTA, diabète de type 2.\nConclusion :\nPneumopathie, "
              "amoxicilline. HTA et diabète surveillés."}),
    ("GM2026-VI-T8", "embolie artérielle désobstruée", {"dp": "I74.2"}, {"text": "Embolie humérale, désobstruction."}),
    ("GM2026-VI-T9", "endocardite traitée", {"dp": "I33.0", "das": ["B95.2"]}, {}),
    ("GM2026-VI-T10", "fer pour carence martiale", {"dp": "Z51.2", "dr": "D50.0"}, {}),
    ("GM2026-VI-S3", "porteur d'un pontage", {"dp": "Z95.1", "das": ["I10", "E78.0"]}, {}),
    ("GM2026-VI-S4", "post-partum après transfert", {"dp": "Z39.08"}, {"sex": "F", "age": 27}),
    ("GM2026-VI-M1", "deux problèmes", {"dp": "K57.3", "das": ["J44.1"]}, {}),
    ("GM2026-V-ATCD-04", "cancer devenu antécédent", {"dp": "J18.9", "das": ["Z85.3"]}, {"sex": "F", "age": 70}),
    ("GM2026-V-TUMEURS-01", "polype de vessie", {"dp": "D41.4"}, {}),
    ("GM2026-V-POLYHANDICAP-01", "polyhandicap", {"dp": "J18.9", "das": ["F73.9", "G80.0", "R26.38"]}, {}),
    ("GM2026-V-PRO-01", "asbestose professionnelle", {"dp": "J61", "das": ["Y96"]}, {}),
    ("GM2026-V-REBELLE-01", "douleur rebelle", {"dp": "R52.18"}, {"text": "Douleur chronique rebelle, infiltration."}),
    ("GM2026-V-HYPOTENSION-01", "baisse isolée de tension", {"dp": "R55", "das": ["R03.1"]}, {}),
    ("GM2026-V-TRAUMA-01", "fracture fermée du poignet", {"dp": "S52.50", "das": ["W01.0"]}, {}),
    ("GM2026-V-BRULES-01", "brûlure et sa cause", {"dp": "T24.3", "das": ["X12.0"]}, {}),
    ("GM2026-V-GRABATAIRE-01", "grabataire de longue date", {"dp": "J18.9", "das": ["R26.30"]},
     {"text": "Pneumopathie, amoxicilline. Patiente grabataire depuis deux ans, dépendante pour tous les actes."}),
    ("GM2026-V-P00-02", "nouveau-né par césarienne", {"dp": "Z38.0", "das": ["P03.4"]}, {"age": 0}),
    ("GM2026-V-DOULEUR-01", "douleur chronique", {"dp": "M54.5", "das": ["R52.2"]},
     {"text": "Lombalgie. Douleur chronique depuis deux ans, mal soulagée."}),
    ("GM2026-VI-T1", "séance de chimiothérapie bien codée", {"dp": "Z51.1", "dr": "C50.9"},
     {"text": "Motif :\nCure de chimiothérapie pour un cancer du sein.\nConclusion :\nBonne tolérance.",
      "sex": "F"}),
    ("GM2026-VI-D1", "chimiothérapie passée, motif aigu", {"dp": "J18.9", "das": ["C50.9"]},
     {"text": "Motif :\nFièvre et toux sous chimiothérapie.\nConclusion :\nPneumopathie, amoxicilline.", "sex": "F"}),
    ("GM2026-V-Z-12", "contage tuberculeux non confirmé", {"dp": "Z20.1"}, {"age": 6}),
    ("GM2026-V-Z-43", "aidant hospitalisé", {"dp": "Z74.2", "das": ["G30.1"]}, {"age": 84}),
    ("GM2026-VI-D2", "symptôme sans cause", {"dp": "R10.1"},
     {"text": "Motif : douleur épigastrique.\nConclusion : pas de cause retrouvée, retour à domicile."}),
    ("CCAM-ACTE-06", "acte décrit", {"dp": "K35.8", "acts": ["HHFA016"]},
     {"text": "Appendicite aiguë, appendicectomie par coelioscopie."}),
    ("CCAM-ACTE-03", "acte dans le séjour",
     {"dp": "K35.8", "acts": [{"code": "HHFA016", "activity": "1", "phase": "0", "date": "2026-02-02"}]},
     {"admission_date": date(2026, 2, 1), "discharge_date": date(2026, 2, 4)}),
]  # fmt: skip


def test_at_least_sixty_cases_and_half_of_them_right() -> None:
    assert len(WRONG) + len(RIGHT) >= 60
    assert len(RIGHT) >= len(WRONG)


def findings(rum: dict[str, Any], stay: dict[str, Any]) -> list[Finding]:
    known = Stay(**{"text": "", **stay}) if stay else None
    return check(Rum.model_validate(rum | {"das": tuple(rum.get("das", ())), "acts": tuple(rum.get("acts", ()))}),
                 known, load_cim10("2025"), load_ccam())  # fmt: skip


def names(cases: list[Case]) -> list[str]:
    return [f"{rule}: {what}" for rule, what, _, _ in cases]


@pytest.mark.parametrize(("rule", "what", "rum", "stay"), WRONG, ids=names(WRONG))
def test_a_wrong_coding_is_caught_under_its_rule(
    rule: str, what: str, rum: dict[str, Any], stay: dict[str, Any]
) -> None:
    found = [finding for finding in findings(rum, stay) if finding.severity != "info"]
    assert rule in {finding.rule_id for finding in found}, what
    for finding in found:
        assert finding.source == load_guide().rule(finding.rule_id).citation
        for words in finding.evidence:
            assert stay["text"][words.start : words.end] == words.quote


@pytest.mark.parametrize(("rule", "what", "rum", "stay"), RIGHT, ids=names(RIGHT))
def test_a_right_coding_is_left_alone(rule: str, what: str, rum: dict[str, Any], stay: dict[str, Any]) -> None:
    assert rule in load_guide(), what
    found = [finding for finding in findings(rum, stay) if finding.severity != "info"]
    assert found == []


def test_what_is_no_code_is_not_repeated() -> None:
    findings = check_coding({"dp": "I10 Mme Zylofrankiste", "das": ["", "I10"]})
    told = " ".join(f.message + " ".join(f.codes) for f in findings).lower()
    assert "zylofrankiste" not in told
    assert any(f.severity == "blocking" for f in findings)


def test_a_code_told_many_times_is_one_finding() -> None:
    findings = check_coding({"dp": "K800", "das": ["I10"] * 2_000})
    assert [f.message for f in findings if "2000 fois" in f.message]
    assert len([f for f in findings if f.rule_id == "GM2026-IV-DAS-04"]) == 1


@pytest.mark.parametrize("given", [None, [], "I10", 3])
def test_another_object_is_no_coding(given: Any) -> None:
    with pytest.raises(InputError, match="n'est pas un codage"):
        check_coding(given)
