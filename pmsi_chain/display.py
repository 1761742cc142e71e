"""What a coder reads: a coding as a terminal table or as a self-contained HTML page, in French."""

from __future__ import annotations

import html
from collections.abc import Iterable
from datetime import date

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from pmsi_chain.codes import Cim10Code
from pmsi_chain.domain import CodeCandidate, CodedAct, CodedDiagnosis, Coding, EligibilityCriteria, Evidence, Finding
from pmsi_chain.rules import GuideRule

_QUOTE_WIDTH = 160
_SEVERITIES = {"blocking": "Bloquant", "review": "À vérifier", "info": "Information"}


#: Section names as a coder reads them; the others are their own.
_SECTIONS = {
    "antecedents": "antécédents",
    "comorbidites": "pathologies associées",
    "complementaires": "examens complémentaires",
    "entete": "en-tête",
    "evolution": "évolution",
    "histoire": "histoire de la maladie",
    "identite": "identité",
    "mode_de_vie": "mode de vie",
    "operatoire": "intervention",
    "traitement_entree": "traitement à l'entrée",
    "traitement_sortie": "traitement de sortie",
}


def one_line(quote: str, width: int = _QUOTE_WIDTH) -> str:
    """A quote on one line, cut with an ellipsis; the JSON output keeps it whole."""
    flat = " ".join(quote.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def percent(probability: float) -> str:
    """A probability as a French percentage."""
    return f"{probability:.0%}".replace("%", " %")


def _proof(evidence: Iterable[Evidence]) -> Text:
    text = Text()
    for number, item in enumerate(list(evidence)[:2]):
        text.append("\n" if number else "")
        text.append(f"« {one_line(item.quote)} »", style="italic")
        text.append(
            f"  [{_SECTIONS.get(item.section, item.section) or 'texte'}, car. {item.start}–{item.end}]", style="dim"
        )
    return text


def _confidence(item: CodedDiagnosis | CodedAct) -> tuple[str, str]:
    """The confidence as a percentage, and what a coder should do about it, "" for nothing."""
    confirm = isinstance(item, CodedDiagnosis) and not item.automatic
    return percent(item.confidence), "à confirmer" if confirm else ""


def _diagnosis_row(item: CodedDiagnosis) -> tuple[str, Text, Text, Text]:
    label = Text(item.label)
    if item.reasons:
        label.append("\n" + " ; ".join(item.reasons), style="dim")
    proof = _proof(item.evidence)
    proof.append(f"\n{item.rule_source} ({item.rule_id})", style="dim")
    shown, advice = _confidence(item)
    confidence = Text(shown)
    if advice:
        confidence.append(f"\n{advice}", style="yellow")
    return item.display, label, proof, confidence


def _act_row(item: CodedAct) -> tuple[str, Text, Text, str]:
    label = Text(item.label)
    stated = [f"activité {item.activity}" if item.activity else "", f"phase {item.phase}" if item.phase else "",
              f"le {date.fromisoformat(item.date):%d/%m/%Y}" if item.date else ""]  # fmt: skip
    label.append("\n" + ", ".join(s for s in stated if s), style="dim")
    if item.missing:
        label.append("\nà compléter : " + ", ".join(item.missing), style="yellow")
    proof = _proof(item.evidence)
    proof.append(f"\n{item.rule_source} ({item.rule_id})", style="dim")
    return item.code, label, proof, percent(item.confidence)


def coding_table(coding: Coding) -> Group:
    """DP, DR, DAS and acts with proof, rule and confidence; then findings, what to review, how it was made."""
    table = Table(title="Proposition de codage PMSI MCO", expand=True, show_lines=True, title_justify="left")
    for header, width in (("Place", 5), ("Code", 8)):
        table.add_column(header, no_wrap=True, min_width=width)
    table.add_column("Libellé", ratio=2)
    table.add_column("Preuve et règle", ratio=3)
    table.add_column("Conf.", no_wrap=True, min_width=5, justify="right")
    for item in coding.diagnoses:
        table.add_row(item.position.upper(), *_diagnosis_row(item), style="bold" if item.position == "dp" else "")
    for act in coding.acts:
        table.add_row("Acte", *_act_row(act))
    parts: list[Table | Text] = [table] if table.row_count else [Text("Aucun code proposé.", style="bold")]
    if coding.trace.dp_runner_up:
        parts.append(Text(f"\nDP écarté : {coding.trace.dp_runner_up}", style="dim"))
    if coding.findings:
        parts.append(Text("\nConstats", style="bold"))
        parts.extend(finding_line(finding) for finding in coding.findings)
    if coding.to_review:
        parts.append(Text("\nÀ revoir", style="bold"))
        for doubt in coding.to_review:
            line = Text(f"• {doubt.position.upper()} {doubt.display} {doubt.label} ({percent(doubt.probability)}) : ")
            line.append(doubt.reason)
            if doubt.evidence:
                line.append(f"  « {one_line(doubt.evidence[0].quote, 80)} »", style="italic dim")
            parts.append(line)
    trace = coding.trace
    made_by = "par règles" if trace.decided_by == "rules" else f"avec le modèle {trace.model}"
    parts.append(
        Text(
            f"\nCIM-10 {trace.cim10_edition}, CCAM {trace.ccam_edition}, Guide méthodologique {trace.guide_edition} ; "
            f"décidé {made_by} en {sum(trace.timings_s.values()):.2f} s. "
            "Proposition à valider par un professionnel de l'information médicale.",
            style="dim",
        )
    )
    parts.extend(Text(f"Note : {note}", style="dim") for note in trace.notes)
    return Group(*parts)


def finding_line(finding: Finding) -> Text:
    """A finding on one line: severity, message, rule."""
    styles = {"blocking": "red", "review": "yellow", "info": "cyan"}
    line = Text("• ")
    line.append(f"[{_SEVERITIES[finding.severity]}] ", style=styles[finding.severity])
    line.append(finding.message)
    if finding.evidence:
        line.append(f"  « {one_line(finding.evidence[0].quote, 80)} »", style="italic dim")
    line.append(f"  — {finding.source} ({finding.rule_id})", style="dim")
    return line


def candidates_table(candidates: Iterable[CodeCandidate], nomenclature: str) -> Table:
    """Search results: rank, code, label, score, and the rank in each leg."""
    table = Table(expand=True)
    for header in ("Rang", "Code", "Libellé", "Score", "BM25", "Vecteurs"):
        table.add_column(header, justify="right" if header in ("Rang", "Score", "BM25", "Vecteurs") else "left")
    for rank, found in enumerate(candidates, start=1):
        display = Cim10Code(found.code).display if nomenclature == "cim10" else found.code
        legs = [str(found.ranks.get(leg, "–")) for leg in ("bm25", "vector")]
        table.add_row(str(rank), display, found.label, f"{found.similarity_score:.2f}", *legs)
    return table


def criteria_text(criteria: Iterable[EligibilityCriteria]) -> Group:
    """The Guide's rules for a code, most specific first."""
    parts: list[Text] = []
    for rule in criteria:
        text = Text(f"{rule.rule_id}", style="bold")
        text.append(f"  {rule.guide_section}\n", style="dim not bold")
        text.append(rule.criteria_text, style="not bold")
        for title, sentences in (("Exclusions", rule.exclusion_rules), ("Hiérarchie", rule.hierarchization_rules)):
            for sentence in sentences:
                text.append(f"\n  {title} : {sentence}", style="not bold")
        text.append("\n")
        parts.append(text)
    return Group(*parts) if parts else Group(Text("Aucune règle du Guide ne vise ce code."))


def rules_text(rules: Iterable[GuideRule]) -> Group:
    """Rules of the Guide, each with where it is printed."""
    parts = []
    for rule in rules:
        text = Text(rule.id, style="bold")
        text.append(f"  {rule.source}\n", style="dim not bold")
        text.append(f"{rule.statement}\n", style="not bold")
        parts.append(text)
    return Group(*parts)


def print_json(console: Console, payload: str) -> None:
    """Print JSON as it is, without markup, wrapping or colours."""
    console.print(payload, markup=False, highlight=False, soft_wrap=True)


_PAGE = """<!doctype html>
<html lang="fr"><head><meta charset="utf-8"><title>Proposition de codage</title>
<style>
body{{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1b1f24}}
table{{border-collapse:collapse;width:100%}}
th,td{{border:1px solid #d0d7de;padding:.5rem;vertical-align:top;text-align:left}}
mark{{background:#fff3b0}}mark.dp{{background:#ffc9c9}}mark.acte{{background:#cfe8ff}}mark.review{{background:#e6e6e6}}
.dim{{color:#57606a;font-size:.85em}}.right{{background:#dafbe1}}.wrong{{background:#ffebe9}}
pre{{white-space:pre-wrap;font:inherit;background:#f6f8fa;padding:1rem;border-radius:6px}}
</style></head><body>
<h1>Proposition de codage PMSI MCO</h1>
{beside}
<table><tr><th>Position</th><th>Code</th><th>Libellé et raisons</th><th>Preuve</th><th>Règle</th><th>Conf.</th></tr>
{rows}</table>
{runner_up}{situation}{findings}{review}
<h2>Compte rendu</h2>
<p class="dim">Surligné : <mark class="dp">DP</mark> <mark>autres diagnostics</mark> <mark class="acte">actes</mark>
<mark class="review">à revoir</mark></p>
<pre>{report}</pre>
<p class="dim">{footer}</p></body></html>"""


def html_page(coding: Coding, text: str, beside: str = "") -> str:
    """A self-contained page: the coding and the report with its proofs highlighted. Holds the report's text.

    Args:
        beside: HTML put before the coding, such as a comparison with another coding.
    """
    coded: tuple[CodedDiagnosis | CodedAct, ...] = (*coding.diagnoses, *coding.acts)
    cells = "".join(map(_html_row, coded))
    findings = "".join(f"<li>{html.escape(finding_line(f).plain[2:])}</li>" for f in coding.findings)
    review = "".join(
        f"<li>{i.position.upper()} {html.escape(i.display)} {html.escape(i.label)} ({percent(i.probability)}) : "
        f"{html.escape(i.reason)}</li>"
        for i in coding.to_review
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in coding.trace.notes)
    runner_up = coding.trace.dp_runner_up
    return _PAGE.format(
        beside=beside,
        rows=cells,
        runner_up=f"<p>DP écarté : {html.escape(runner_up)}</p>" if runner_up else "",
        situation=f"<h2>Situation et notes</h2><ul>{notes}</ul>" if notes else "",
        findings=f"<h2>Constats</h2><ul>{findings}</ul>" if findings else "",
        review=f"<h2>À revoir</h2><ul>{review}</ul>" if review else "",
        report=_highlighted(coding, text),
        footer=f"CIM-10 {coding.trace.cim10_edition}, CCAM {coding.trace.ccam_edition}. À valider par un professionnel "
        "de l'information médicale.",
    )


def _html_row(item: CodedDiagnosis | CodedAct) -> str:
    position, code = ("Acte", item.code) if isinstance(item, CodedAct) else (item.position.upper(), item.display)
    said = " ; ".join(item.reasons)
    shown, advice = _confidence(item)
    missing = ""
    if isinstance(item, CodedAct) and item.missing:
        missing = " ; à compléter : " + ", ".join(item.missing)
    proofs = "<br>".join(
        f"« {html.escape(one_line(e.quote))} » "
        f"<span class='dim'>{html.escape(_SECTIONS.get(e.section, e.section))}</span>"
        for e in item.evidence[:2]
    )
    return (
        f"<tr><td>{position}</td><td>{html.escape(code)}</td><td>{html.escape(item.label)}"
        f"<br><span class='dim'>{html.escape(said + missing)}</span></td><td>{proofs}</td>"
        f"<td class='dim'>{html.escape(item.rule_source)}</td>"
        f"<td>{shown}<br><span class='dim'>{advice}</span></td></tr>"
    )


def _highlighted(coding: Coding, text: str) -> str:
    spans: list[tuple[int, int, str, str]] = []
    spans += [(e.start, e.end, d.display, d.position) for d in coding.diagnoses for e in d.evidence]
    spans += [(e.start, e.end, a.code, "acte") for a in coding.acts for e in a.evidence]
    coded = [(start, end) for start, end, _, _ in spans]
    spans += [
        (e.start, e.end, f"à revoir : {r.display}", "review")
        for r in coding.to_review
        for e in r.evidence
        if not any(e.start < end and start < e.end for start, end in coded)
    ]
    out, position = [], 0
    for start, end, code, kind in sorted(spans):
        if start < position:
            continue
        out.append(html.escape(text[position:start]))
        out.append(f'<mark class="{kind}" title="{html.escape(code)}">{html.escape(text[start:end])}</mark>')
        position = end
    out.append(html.escape(text[position:]))
    return "".join(out)
