"""Codes that call for another: germ, external cause, outcome of delivery, treated disease, sepsis, resistance."""

from __future__ import annotations

from collections.abc import Iterator

from pmsi_chain.domain import Finding, Severity
from pmsi_chain.rules.case import Case, display
from pmsi_chain.rules.check_tables import check_tables
from pmsi_chain.rules.expressions import any_matches, chapter_of

_AFTER_CARE = ("E89", "G97", "H59", "H95", "I97", "J95", "K91", "M96", "N99")
#: Infections whose code already says the germ.
OWN_GERM = ("chap:I", "J13-J16", "J09-J11", "J20.0-J20.7", "J21.0", "A40", "A41", "G00.0-G00.3", "N34.1", "U07.1")
#: (codes that ask, codes that answer, rule, severity, what to add).
_EXTERNAL: tuple[tuple[tuple[str, ...], tuple[str, ...], str, Severity, str], ...] = (
    (("T36-T50",), ("X40-X44", "X60-X64", "X85", "Y10-Y14"), "GM2026-V-EFFETS-01", "review",
     "la circonstance X40-X44 (accident) ou X60-X64 (volontaire)"),
    (("T20-T32",), ("chap:XX",), "GM2026-V-BRULES-01", "review", "la cause de la brûlure au chapitre XX"),
    (("T80-T88", *_AFTER_CARE), ("Y60-Y84", "Y88", "Y95", "Y40-Y59"), "GM2026-V-COMPLI-07", "review",
     "la circonstance Y60-Y84 (ou Y88 pour une séquelle)"),
    (("S00-T19", "T33-T35", "T51-T79"), ("chap:XX",), "CIM10-COMPAGNON-01", "info",
     "la cause externe au chapitre XX"),
)  # fmt: skip
_RELATED: tuple[tuple[tuple[str, ...], str, Severity, str], ...] = (
    (("Z51.1",), "GM2026-V-Z-37", "review", "la tumeur traitée"),
    (("Z51.00", "Z51.01", "Z51.2", "Z51.30", "Z51.31", "Z51.80"), "GM2026-V-Z-37", "review", "la maladie traitée"),
    (("Z49.1", "Z49.2"), "GM2026-VI-T1", "review", "l'insuffisance rénale (N18)"),
    (("Z51.5",), "GM2026-VI-T11", "review", "la maladie qui conduit aux soins palliatifs"),
    (("Z08", "Z09"), "GM2026-V-Z-08", "info", "la maladie surveillée, si elle est encore présente"),
    (("Z04.801",), "GM2026-VI-D3", "info", "l'affection trouvée ou le symptôme exploré"),
)


def external_causes(case: Case) -> Iterator[Finding]:
    """Injuries, poisonings, burns and complications of care without their circumstance."""
    for asking, answering, rule, severity, what in _EXTERNAL:
        codes = case.having(*asking)
        if codes and not case.having(*answering):
            yield case.finding(rule, severity, f"{case.show(codes[0])} : ajouter en DAS {what}.", codes)


def complication_codes(case: Case) -> Iterator[Finding]:
    """A circumstance of care without the T80-T88 of a complication said by a usual code (ch. V, p. 86-87)."""
    circumstances = case.having("Y83", "Y84", "Y60-Y69", "Y70-Y82")
    if circumstances and not case.having("T80-T88", *_AFTER_CARE, "chap:XV", "K43.1", "K43.5"):
        yield case.finding(
            "GM2026-V-COMPLI-06", "review",
            f"{display(circumstances[0])} dit une complication d'acte : ajouter le code T80-T88 de sa nature.",
            circumstances,
        )  # fmt: skip
    for code in case.having("E89.8", "G97.8", "H59.8", "H95.8", "I97.8", "J95.8", "K91.8", "M96.8", "N99.8"):
        yield case.finding(
            "GM2026-V-COMPLI-05", "info",
            f"{case.show(code)} est imprécis : préférer le code habituel de la complication, avec un code T80-T88.",
            (code,),
        )  # fmt: skip


def poisoning(case: Case) -> Iterator[Finding]:
    """The poisoning is the DP, not what it caused; self-harm goes with chapter XIX (ch. V, p. 90-91 and 119)."""
    toxic = [code for code in case.das if any_matches(("T36-T50",), code)]
    if toxic and case.having("X40-X44", "X60-X64") and chapter_of(case.dp) != "XIX":
        yield case.finding(
            "GM2026-V-EFFETS-02", "review",
            f"L'intoxication {case.show(toxic[0])} est en DAS derrière {case.show(case.dp)} : elle est le DP, "
            "le trouble qu'elle a causé un DAS.",
            (case.dp, toxic[0]),
        )  # fmt: skip
    elif case.dp and case.having("X60-X84") and chapter_of(case.dp) != "XIX":
        yield case.finding(
            "GM2026-V-SUICIDE-01", "review",
            f"Geste auto-infligé codé avec un DP hors du chapitre XIX ({case.show(case.dp)}) : si le geste a motivé "
            "le séjour, la lésion ou l'intoxication est le DP.",
            (case.dp, *case.having("X60-X84")),
        )  # fmt: skip
    road = case.having("V01-V89")
    if road and not case.having("chap:XIX", "Z04.1", "Y85"):
        yield case.finding(
            "GM2026-V-ROUTE-01", "review",
            f"{display(road[0])} sans lésion : ajouter la lésion (chapitre XIX), ou Z04.1 si aucune n'est trouvée.",
            road,
        )  # fmt: skip


def germs(case: Case) -> Iterator[Finding]:
    """B95-B98 with an infection; the germ the text names; resistance with its infection or carriage."""
    tables = check_tables()
    infections = [code for code in case.having(*tables.groups["infection"]) if not any_matches(("B95-B98",), code)]
    for code in case.having("B95-B98"):
        if not infections:
            yield case.finding(
                "GM2026-V-GERMES-02", "review",
                f"{case.show(code)} sans infection codée : coder l'infection, ou Z22 pour un portage.", (code,),
            )  # fmt: skip
    for code in case.having("U82-U84"):
        carried = code.endswith("1") and len(code) == 6
        if carried and not case.having("Z22"):
            yield case.finding(
                "GM2026-V-RESIST-02", "review",
                f"{case.show(code)} dit un portage : ajouter Z22, ou prendre l'extension d'infection.", (code,),
            )  # fmt: skip
        elif not carried and not infections:
            yield case.finding(
                "GM2026-V-RESIST-02", "review",
                f"{case.show(code)} sans infection codée : coder l'infection, ou l'extension de portage avec Z22.",
                (code,),
            )  # fmt: skip
    if case.report is None or not infections or case.having("B95-B98"):
        return
    if all(any_matches(OWN_GERM, code) for code in infections):
        return
    for cue, germ in tables.germs:
        words = case.report.affirmed(cue)
        if words:
            yield case.finding(
                "GM2026-V-GERMES-02", "info",
                f"Le compte rendu nomme un germe : {display(germ)} peut s'ajouter en DAS à {case.show(infections[0])}.",
                (germ, infections[0]), (words,),
            )  # fmt: skip


def delivery(case: Case) -> Iterator[Finding]:
    """Z37 with every delivery; no delivery act with a delivery before arrival (ch. V, p. 81, 92 and 97)."""
    acts = tuple(act for act in case.acts if act.startswith(("JQGD", "JQGA")))
    delivered = case.having(*check_tables().groups["accouchement"])
    outcome = case.having("Z37")
    if (delivered or acts) and not outcome:
        yield case.finding(
            "GM2026-V-Z-20", "blocking",
            "Accouchement sans Z37 : ajouter en DAS le code du résultat de l'accouchement.", (*delivered, *acts),
        )  # fmt: skip
    if case.having("Z39.00"):
        if not outcome:
            yield case.finding(
                "GM2026-V-IMPROMPTU-01",
                "review",
                "Accouchement impromptu (Z39.00) sans Z37 en DAS : l'ajouter.",
                ("Z3900",),
            )
        if acts:
            yield case.finding(
                "GM2026-V-IMPROMPTU-01", "blocking",
                f"Accouchement survenu avant l'arrivée (Z39.00) : retirer l'acte d'accouchement {acts[0]}.",
                ("Z3900", *acts),
            )  # fmt: skip
    instrumental = [code for code in case.codes if any_matches(("Z37",), code)]
    if instrumental and case.dp.startswith("Z38"):
        yield case.finding(
            "GM2026-V-Z-21", "review",
            "Z38 est le DP du nouveau-né et Z37 le DAS de la mère : ils ne vont pas dans le même RUM.",
            (case.dp, instrumental[0]),
        )  # fmt: skip


def related(case: Case) -> Iterator[Finding]:
    """A Z code as DP whose treated or followed disease is missing as DR, or of the wrong kind (ch. V, p. 99-100)."""
    if not case.dp:
        return
    if not case.dr:
        for asking, rule, severity, what in _RELATED:
            if any_matches(asking, case.dp):
                yield case.finding(
                    rule, severity, f"DP {case.show(case.dp)} sans DR : ajouter en DR {what}.", (case.dp,)
                )
        return
    tumour = any_matches(("C00-D48",), case.dr) or any_matches(("Z85",), case.dr)
    if case.dp == "Z511" and not tumour:
        yield case.finding(
            "GM2026-V-Z-35", "review",
            f"Z51.1 traite une tumeur, or le DR est {case.show(case.dr)} : Z51.2 si la maladie n'est pas une tumeur.",
            (case.dp, case.dr),
        )  # fmt: skip
    if case.dp == "Z512" and any_matches(("C00-C97",), case.dr):
        yield case.finding(
            "GM2026-V-Z-35", "review",
            f"Z51.2 ne traite pas une tumeur, or le DR est {case.show(case.dr)} : prendre Z51.1.", (case.dp, case.dr),
        )  # fmt: skip
    if case.dp.startswith("Z08") and not tumour:
        yield case.finding(
            "GM2026-V-Z-08", "review",
            f"Z08 suit une tumeur maligne, or le DR est {case.show(case.dr)} : prendre Z09.", (case.dp, case.dr),
        )  # fmt: skip
    if case.dp.startswith("Z09") and any_matches(("C00-C97",), case.dr):
        yield case.finding(
            "GM2026-V-Z-08", "review",
            f"Z09 ne suit pas une tumeur maligne, or le DR est {case.show(case.dr)} : prendre Z08.", (case.dp, case.dr),
        )  # fmt: skip


def sessions(case: Case) -> Iterator[Finding]:
    """A session coded behind its disease: its Z code is the DP when it motivates the stay (ch. V, p. 100)."""
    for code in case.das:
        if any_matches(("Z51.1", "Z51.01", "Z49.1"), code) and chapter_of(case.dp) != "XXI":
            yield case.finding(
                "GM2026-V-Z-34", "info",
                f"{case.show(code)} en DAS : s'il a motivé le séjour, il est le DP et la maladie le DR.",
                (code, case.dp),
            )  # fmt: skip


def sequelae(case: Case) -> Iterator[Finding]:
    """« Séquelles de… » goes behind the disorder it left (ch. V, p. 117-118)."""
    sequels = ("B90-B94", "E64", "E68", "G09", "I69", "O94", "O97", "T90-T98")
    if any_matches(sequels, case.dp):
        yield case.finding(
            "GM2026-V-SEQUELLES-01", "review",
            f"{case.show(case.dp)} en DP : coder d'abord le trouble présent, et la séquelle en DAS.", (case.dp,),
        )  # fmt: skip


def sepsis(case: Case) -> Iterator[Finding]:
    """Septic shock with its sepsis (ch. V, p. 116-117)."""
    if case.having("R57.2") and not case.having(*check_tables().groups["sepsis"]):
        yield case.finding(
            "GM2026-V-SEPSIS-04",
            "review",
            "Choc septique R57.2 sans code de sepsis (A40, A41…) : l'ajouter.",
            ("R572",),
        )


def pregnancy(case: Case) -> Iterator[Finding]:
    """O98 and O99 with the disease they announce."""
    for code in case.having("O98", "O99"):
        if all(chapter_of(other) in ("XV", "XX", "XXI") for other in case.codes):
            yield case.finding(
                "CIM10-COMPAGNON-02", "review",
                f"{case.show(code)} : ajouter le code de la maladie (chapitres I à XVII ou XIX).", (code,),
            )  # fmt: skip


def double_use(case: Case) -> Iterator[Finding]:
    """A Z code as DAS that only repeats an act of the same stay (ch. V, p. 99-103)."""
    for rule, codes, firsts in check_tables().duplicates:
        acts = tuple(act for act in case.acts if act.startswith(firsts))
        for code in case.das:
            if acts and any_matches(codes, code):
                yield case.finding(
                    rule, "review",
                    f"{case.show(code)} en DAS répète l'acte {acts[0]} du même séjour : le retirer.", (code, acts[0]),
                )  # fmt: skip


def chronic_only(case: Case) -> Iterator[Finding]:
    """Z99 for a chronic dependence, not for an acute episode (ch. V, p. 103)."""
    for code, acute, chronic in (
        ("Z99.1", "J96.0", ("J96.1", "G12", "G71", "J44", "E66.2")),
        ("Z99.2", "N17", ("N18",)),
    ):
        if case.having(code) and case.having(acute) and not case.having(*chronic):
            yield case.finding(
                "GM2026-V-Z-52", "review",
                f"{display(case.having(code)[0])} dit une dépendance chronique, or seul un épisode aigu est codé "
                f"({display(case.having(acute)[0])}) : le retirer, ou coder la maladie chronique.",
                (*case.having(code), *case.having(acute)),
            )  # fmt: skip


def falls(case: Case) -> Iterator[Finding]:
    """R29.6 as DP only without lesion (ch. V, p. 83)."""
    lesions = case.having("S00-T14")
    if case.dp == "R296" and lesions:
        yield case.finding(
            "GM2026-V-CHUTES-03", "review",
            f"R29.6 en DP alors que la lésion {case.show(lesions[0])} est soignée : la lésion est le DP, R29.6 un DAS "
            "si les chutes restent sans cause.",
            (case.dp, lesions[0]),
        )  # fmt: skip


def suspicion(case: Case) -> Iterator[Finding]:
    """Z03 as DP beside a symptom that would say more (ch. V, p. 93-94)."""
    signs = [code for code in case.das if chapter_of(code) == "XVIII"]
    if case.dp.startswith("Z03") and signs:
        yield case.finding(
            "GM2026-V-Z-03", "review",
            f"Z03 en DP alors qu'un symptôme est codé, {case.show(signs[0])} : lui préférer ce symptôme s'il a motivé "
            "l'admission.",
            (case.dp, signs[0]),
        )  # fmt: skip
