"""`pmsi-chain`: data on stdout, progress and messages on stderr, our errors as one line and exit status 2."""

from __future__ import annotations

import gc
import json
import re
import sys
from datetime import date
from importlib.resources import files
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from pmsi_chain.errors import InputError, PmsiChainError
from pmsi_chain.intake import read_report
from pmsi_chain.nomenclature.commands import app as nomenclature_app
from pmsi_chain.problems import cause

if TYPE_CHECKING:
    from pydantic import ValidationError

    from pmsi_chain.domain import Coding, Stay
    from pmsi_chain.engine import RAGEngine

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Codage PMSI MCO assisté : un compte rendu entre, un codage CIM-10 et CCAM justifié sort.",
)
index_app = typer.Typer(no_args_is_help=True, help="Les index de recherche.")
train_app = typer.Typer(no_args_is_help=True, help="Refaire les modèles embarqués (extra [train]).")
app.add_typer(nomenclature_app, name="nomenclature")
app.add_typer(index_app, name="index")
app.add_typer(train_app, name="train")

#: Columns of a table that goes to a file or a pipe, where no terminal says how wide it is.
_WIDE = 160
out = Console(soft_wrap=False, width=None if sys.stdout.isatty() else get_terminal_size((_WIDE, 0)).columns)
err = Console(stderr=True)

JsonFlag = Annotated[bool, typer.Option("--json", help="Sortie JSON sur la sortie standard.")]


def _progress(message: str) -> None:
    err.print(message, style="dim", markup=False, highlight=False)


def _engine() -> RAGEngine:
    from pmsi_chain.engine import RAGEngine
    from pmsi_chain.settings import Settings

    return RAGEngine.from_settings(Settings(), progress=_progress)


def _show(coding: Coding, stay: Stay, as_json: bool, html: Path | None) -> None:
    from pmsi_chain.display import coding_table, html_page, print_json

    if html is not None:
        try:
            html.write_text(html_page(coding, stay.text), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{html} : écriture impossible ({cause(error)}) ; donner un autre --html") from None
        _progress(f"Page écrite : {html}")
    if as_json:
        print_json(out, coding.model_dump_json(indent=2))
    elif html is None or out.is_terminal:
        out.print(coding_table(coding))


def _code(stay: Stay, as_json: bool, html: Path | None, llm: bool) -> None:
    from pmsi_chain.chain import CodingChain
    from pmsi_chain.settings import Settings

    chain = CodingChain.from_settings(Settings(), llm=llm, progress=_progress)
    for coding in chain.stream(stay):
        if llm and coding.trace.stage == "decisions":
            _progress("Les règles ont décidé ; le modèle de langage est interrogé…")
    _show(coding, stay, as_json, html)


@app.command()
def demo(
    as_json: JsonFlag = False,
    html: Annotated[Path | None, typer.Option(help="Écrire aussi une page HTML.")] = None,
) -> None:
    """Coder le compte rendu fictif fourni avec le paquet."""
    from pmsi_chain.domain import Stay

    text = (files("pmsi_chain") / "knowledge" / "demo_report.txt").read_text(encoding="utf-8")
    _code(Stay(text=text, sex="F", age=74, discharge_date=date(2026, 3, 8)), as_json, html, llm=False)


@app.command()
def code(
    report: Annotated[str, typer.Argument(help="Fichier texte du compte rendu, ou - pour l'entrée standard.")],
    as_json: JsonFlag = False,
    html: Annotated[Path | None, typer.Option(help="Écrire aussi une page HTML.")] = None,
    llm: Annotated[bool, typer.Option("--llm", help="Faire choisir le modèle de langage configuré.")] = False,
    sex: Annotated[str | None, typer.Option(help="M ou F.")] = None,
    age: Annotated[int | None, typer.Option(min=0, max=130, help="Âge en années révolues.")] = None,
    discharge_date: Annotated[str | None, typer.Option(help="Date de sortie, AAAA-MM-JJ.")] = None,
) -> None:
    """Coder un compte rendu : DP, DR, DAS et actes, chacun avec sa preuve et sa règle."""
    from pmsi_chain.domain import Stay
    from pmsi_chain.settings import Settings

    if sex not in (None, "M", "F"):
        raise InputError(f"--sex {sex} : valeur refusée ; donner M ou F")
    text = read_report(report, Settings().max_report_chars)
    stay = Stay(text=text, sex="M" if sex == "M" else "F" if sex == "F" else None, age=age,
                discharge_date=_date(discharge_date))  # fmt: skip
    _code(stay, as_json, html, llm)


def _date(given: str | None) -> date | None:
    try:
        return date.fromisoformat(given) if given else None
    except ValueError:
        raise InputError(f"--discharge-date {given} : date refusée ; l'écrire comme 2026-03-08") from None


@app.command()
def search(
    query: str,
    nomenclature: Annotated[str, typer.Option(help="cim10 ou ccam.")] = "cim10",
    top_k: Annotated[int, typer.Option(min=1, help="Nombre de codes.")] = 10,
    position: Annotated[str | None, typer.Option(help="dp, dr ou das : codes permis à cette place.")] = None,
    version: Annotated[str | None, typer.Option(help="Édition, par exemple 2025.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Chercher les codes d'une expression clinique."""
    from pmsi_chain.display import candidates_table, print_json

    engine = _engine()
    if nomenclature == "cim10":
        found = engine.search_icd10(query, top_k, version, _lower(position))  # type: ignore[arg-type]  # checked inside
    elif nomenclature == "ccam":
        if position is not None:
            raise InputError("--position : elle ne vaut que pour la CIM-10 ; l'enlever, ou chercher dans cim10")
        found = engine.search_ccam(query, top_k, version)
    else:
        raise InputError(f"--nomenclature {nomenclature} : valeur refusée ; donner cim10 ou ccam")
    if as_json:
        print_json(out, json.dumps([c.model_dump() for c in found], ensure_ascii=False, indent=2))
    else:
        out.print(candidates_table(found, nomenclature))


def _lower(position: str | None) -> str | None:
    """« DP », as coders write it, for "dp"."""
    return position.lower() if position else position


#: What is meant as a code: an act, or a letter and digits, mistyped or not; anything else is a question.
_ACT = re.compile(r"[A-Za-z]{4}\d{3}")
_CODE = re.compile(rf"{_ACT.pattern}|[A-Za-z][\dOoIl][\w.+*† -]{{0,7}}|[\w.+]{{0,2}}\d[\w.+]{{0,6}}")


@app.command()
def rules(
    code: Annotated[str, typer.Argument(help="Un code, ou une question en français entre guillemets.")],
    position: Annotated[str, typer.Option(help="dp, dr ou das ; ccam pour un acte.")] = "das",
    as_json: JsonFlag = False,
) -> None:
    """Montrer ce que le Guide demande d'un code, ou chercher ses règles par une question."""
    from pmsi_chain.checking import criteria_for
    from pmsi_chain.display import criteria_text, print_json, rules_text

    if not _CODE.fullmatch(code.strip()):
        hits = _engine().search_guide(code)
        if as_json:
            answers = [
                {"rule_id": r.id, "source": str(r.source), "statement": r.statement, "score": s} for r, s in hits
            ]
            print_json(out, json.dumps(answers, ensure_ascii=False, indent=2))
        else:
            out.print(rules_text(rule for rule, _ in hits))
        return
    place = "ccam" if _ACT.fullmatch(code.strip()) else _lower(position)
    found = criteria_for(code, place)  # type: ignore[arg-type]  # checked inside
    if as_json:
        print_json(out, json.dumps([c.model_dump() for c in found], ensure_ascii=False, indent=2))
    else:
        out.print(criteria_text(found))


@app.command()
def check(
    coding: Annotated[Path, typer.Argument(help="Codage en JSON : sortie de `code --json`, ou {dp, dr, das, acts}.")],
    report: Annotated[Path | None, typer.Option(help="Compte rendu, pour vérifier aussi les preuves.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Contrôler un codage, le nôtre ou un autre, contre le Guide."""
    from pmsi_chain.checking import check_coding, read_coding
    from pmsi_chain.display import finding_line, print_json
    from pmsi_chain.domain import Stay
    from pmsi_chain.settings import Settings

    stay = Stay(text=read_report(str(report), Settings().max_report_chars)) if report else None
    findings = check_coding(read_coding(coding), stay)
    if as_json:
        print_json(out, json.dumps([f.model_dump() for f in findings], ensure_ascii=False, indent=2))
    elif not findings:
        out.print("Aucun constat.")
    else:
        for finding in findings:
            out.print(finding_line(finding))


@index_app.command("build")
def index_build(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Refaire même s'il existe.")] = False,
) -> None:
    """Construire les index des éditions en vigueur."""
    _engine().build_indexes(rebuild=rebuild)
    index_info()


@index_app.command("info")
def index_info() -> None:
    """Dire quels index existent et de quoi ils sont faits."""
    from pmsi_chain.settings import Settings

    root = Settings().state_dir / "indexes"
    manifests = sorted(root.glob("*/manifest.json")) if root.is_dir() else []
    if not manifests:
        out.print(f"Aucun index dans {root}.", highlight=False, soft_wrap=True)
    for path in manifests:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        with (path.parent / "chunks.jsonl").open(encoding="utf-8") as file:
            passages = sum(1 for _ in file)
        size = sum(f.stat().st_size for f in path.parent.rglob("*") if f.is_file()) / 1e6
        out.print(
            f"{path.parent.name} : {passages} passages, encodeurs {', '.join(manifest['encoders'].values())}, "
            f"analyseur {manifest['analyser']}, {size:.0f} Mo",
            highlight=False,
            soft_wrap=True,
        )


DataOption = Annotated[Path, typer.Option(help="Répertoire des expressions et des fichiers officiels.")]
OutOption = Annotated[Path, typer.Option(help="Répertoire où écrire les modèles.")]
SeedOption = Annotated[int, typer.Option(help="Graine de tous les tirages.")]
DeviceOption = Annotated[str | None, typer.Option(help="cpu ou cuda ; par défaut la carte graphique s'il y en a une.")]


@train_app.command("encoder")
def train_encoder_command(
    data: DataOption, out_dir: OutOption, seed: SeedOption = 7, device: DeviceOption = None
) -> None:
    """L'encodeur dense, les poids des mots et la mémoire des expressions."""
    from pmsi_chain.training import train_encoder

    train_encoder(data, out_dir, seed, device)


@train_app.command("reranker")
def train_reranker_command(
    data: DataOption, out_dir: OutOption, seed: SeedOption = 7, device: DeviceOption = None
) -> None:
    """Le reclasseur et l'évaluation des preuves, pour l'encodeur de ce répertoire."""
    from pmsi_chain.training import train_reranker

    train_reranker(data, out_dir, seed, device)


@train_app.command("reader")
def train_reader_command(
    out_dir: OutOption,
    seed: SeedOption = 7,
    folds: Annotated[bool, typer.Option("--folds", help="Mesurer aussi en cinq plis, six fois plus long.")] = False,
) -> None:
    """La seconde lecture, sur les comptes rendus inventés et les modèles du paquet."""
    from pmsi_chain.training import train_reader

    for m in train_reader(out_dir, seed, _progress, folds=folds):
        how = "règles seules" if m.rules_alone else "avec la seconde lecture"
        typer.echo(
            f"{m.manner}, n = {m.n}, {how} : précision {m.precision:.3f}, rappel {m.recall:.3f}, F1 {m.f1:.3f}, "
            f"DP {m.dp:.3f}, à revoir {m.in_review:.3f} ; marqués automatiques : précision {m.sure_precision:.3f}, "
            f"rappel {m.sure_recall:.3f}"
        )


@app.command()
def bench(
    what: Annotated[str, typer.Argument(help="retrieval, evidence, coding, speed, ou serve (charge du service).")],
    data: Annotated[Path | None, typer.Option(help="Répertoire des jeux d'essai ; sans objet pour serve.")] = None,
    nomenclature: Annotated[str, typer.Option(help="Pour retrieval : cim10 ou ccam.")] = "cim10",
    limit: Annotated[int | None, typer.Option(min=1, help="Seulement les premiers cas.")] = None,
    stock: Annotated[bool, typer.Option("--stock", help="Ajouter la chaîne LangChain d'origine (extra bench).")] = (
        False
    ),
    bge_m3: Annotated[
        str | None, typer.Option("--bge-m3", help="Pour retrieval : ajouter BGE-M3, répertoire de ses poids.")
    ] = None,
    ablate: Annotated[bool, typer.Option("--ablate", help="Pour retrieval : sans chaque partie, en Markdown.")] = False,
    growth: Annotated[bool, typer.Option("--growth", help="Pour speed : index de 4 000 à 400 000 passages.")] = False,
    html: Annotated[Path | None, typer.Option(help="Pour coding : une page par compte rendu.")] = None,
    clients: Annotated[int, typer.Option(min=1, help="Pour serve : clients à la fois.")] = 32,
    seconds: Annotated[float, typer.Option(min=0.1, help="Pour serve : durée, en secondes.")] = 60.0,
    as_json: JsonFlag = False,
) -> None:
    """Mesurer sur des données publiques, avec effectifs et intervalles à 95 % ; ou charger le service."""
    if what == "serve":
        _bench_serve(clients, seconds, as_json)
        return
    kinds = ("retrieval", "evidence", "coding", "speed")
    if what not in kinds:
        raise InputError(f"bench {what} : banc inconnu ; donner {', '.join(kinds)} ou serve")
    if data is None:
        raise InputError(f"bench {what} : donner --data, le répertoire des jeux d'essai")
    if not data.is_dir():
        raise InputError(f"--data {data} : dossier absent ; donner le répertoire des jeux d'essai")
    from pmsi_chain.evaluation.report import run_bench

    run_bench(
        what, data, nomenclature, limit, stock, html, as_json, out, _progress,
        bge_m3=bge_m3, without=ablate, growth=growth,
    )  # fmt: skip


def _bench_serve(clients: int, seconds: float, as_json: bool) -> None:
    from dataclasses import asdict

    from rich.table import Table

    from pmsi_chain.display import print_json
    from pmsi_chain.evaluation.load import bench_serve

    result = bench_serve(clients, seconds, _progress)
    if as_json:
        print_json(out, json.dumps(asdict(result), ensure_ascii=False, indent=2))
        return
    table = Table(title=f"{clients} clients pendant {result.seconds:g} s, compte rendu de {result.chars} caractères",
                  title_justify="left")  # fmt: skip
    table.add_column("Mesure")
    table.add_column("Valeur", justify="right")
    errors = ", ".join(f"{name} : {n}" for name, n in result.errors.items()) or "0"
    for name, value in (
        ("demandes répondues", f"{result.requests} ({result.per_second:g}/s)"),
        ("temps p50 / p95 / max", f"{result.p50_ms:g} / {result.p95_ms:g} / {result.max_ms:g} ms"),
        ("erreurs", errors),
        ("en cours à l'arrêt, dont perdues", f"{result.in_flight_at_stop}, {result.lost_at_stop}"),
    ):
        table.add_row(name, value)
    out.print(table)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Adresse d'écoute ; hors de cette machine, PMSI_API_KEY est exigée.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port ; 0 : un port libre.")] = 8000,
    llm: Annotated[bool, typer.Option("--llm", help="Faire choisir le modèle de langage configuré.")] = False,
) -> None:
    """Servir le codage et la recherche en HTTP (protocole LangServe), avec une page pour coder."""
    from pmsi_chain.serving.commands import serve_command

    serve_command(host, port, llm=llm)


@app.command()
def mcp() -> None:
    """Donner les outils de codage à un agent par le protocole MCP, sur l'entrée et la sortie standard."""
    from pmsi_chain.serving.commands import mcp_command

    mcp_command()


def _refused(error: ValidationError) -> str:
    """Settings by the names of their variables, a stay's fields by their own."""
    from pmsi_chain.problems import problems_line
    from pmsi_chain.settings import Settings

    problems: list[Any] = list(error.errors(include_input=False, include_url=False))
    if error.title != Settings.__name__:
        return f"valeur refusée : {problems_line(problems, {str(p) for e in problems for p in e['loc']})}"
    named = [{**problem, "loc": tuple(f"PMSI_{str(part).upper()}" for part in problem["loc"])} for problem in problems]
    return f"réglage refusé : {problems_line(named, {str(p) for e in named for p in e['loc']}, 'réglages')}"


#: What a command line that cannot be read raises: the parent of the one such error that typer names.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def _misused(error: Any) -> str:
    """A command line that cannot be read, in French, on one line."""
    context, parameter = error.ctx, getattr(error, "param", None)
    hint = f"voir `{context.command_path if context is not None else 'pmsi-chain'} --help`"
    kind = type(error).__name__
    if kind == "NoSuchOption":
        return f"option inconnue {error.option_name} ; {hint}"
    if kind == "BadOptionUsage":
        return f"{error.option_name} : il manque sa valeur ; {hint}"
    if parameter is not None:
        name = "/".join(parameter.opts)
        return f"il manque {name} ; {hint}" if kind == "MissingParameter" else f"{name} : valeur refusée ; {hint}"
    if context is not None and hasattr(context.command, "commands"):
        return f"commande inconnue ; {hint}"
    return f"arguments en trop ou mal placés ; {hint}"


def main() -> Literal[0]:
    """Entry point: our errors become one line on stderr and exit status 2."""
    # Half of a start is objects that stay: looking for garbage among them every 700 costs an eighth of it.
    gc.set_threshold(200_000, 20, 20)
    from pydantic import ValidationError

    try:
        status = app(standalone_mode=False)
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # the help has been shown
            sys.exit(2)
        said = _misused(error)
        err.print(f"pmsi-chain: {said}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)
    except PmsiChainError as error:
        err.print(f"pmsi-chain: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except ValidationError as error:  # a setting of the environment, or a stay's field; inputs are hidden
        err.print(f"pmsi-chain: {_refused(error)}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    if status:
        sys.exit(status)
    return 0
