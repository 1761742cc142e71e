"""`pmsi-chain nomenclature list|install|diff`: data on stdout, messages on stderr; errors are the caller's to print."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pmsi_chain.errors import InputError, ServiceError
from pmsi_chain.nomenclature import store
from pmsi_chain.nomenclature.diff import diff_ccam, diff_cim10, render
from pmsi_chain.nomenclature.download import OFFICIAL_PAGES, is_reachable
from pmsi_chain.nomenclature.install import as_dict, install
from pmsi_chain.nomenclature.store import EditionRecord, Nomenclature

app = typer.Typer(no_args_is_help=True, help="Les éditions de la CIM-10 et de la CCAM.")

JsonFlag = Annotated[bool, typer.Option("--json", help="Sortie JSON sur la sortie standard.")]
NomenclatureOption = Annotated[str, typer.Option("--nomenclature", "-n", help="cim10 ou ccam.")]


def _state_dir() -> Path:
    from pmsi_chain.settings import Settings

    return Settings().state_dir


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


@app.command("list")
def list_editions(as_json: JsonFlag = False) -> None:
    """Les éditions disponibles, avec leurs dates, leur origine et leur empreinte."""
    state_dir = _state_dir()
    records = [*store.editions("cim10", state_dir), *store.editions("ccam", state_dir)]
    if as_json:
        _print_json([edition_as_dict(record) for record in records])
        return
    for record in records:
        typer.echo(edition_line(record))


def edition_as_dict(record: EditionRecord) -> dict[str, Any]:
    """An edition as plain values."""
    return {
        "nomenclature": record.nomenclature,
        "edition": record.version,
        "valid_from": record.valid_from.isoformat(),
        "valid_to": record.valid_to.isoformat() if record.valid_to else None,
        "codes": record.codes,
        "embedded": record.is_embedded,
        "sha256": record.sha256,
        "origin": record.origin,
        "licence": record.licence,
        "completed_by": [{"kind": a.kind, "origin": a.origin, "sha256": a.sha256} for a in record.attachments],
    }


def edition_line(record: EditionRecord) -> str:
    """An edition on one line, in French."""
    until = f"au {record.valid_to:%d/%m/%Y}" if record.valid_to else "sans fin"
    parts = [
        f"{record.nomenclature:5} {record.version:14}",
        f"du {record.valid_from:%d/%m/%Y} {until}",
        f"{record.codes} codes",
        f"sha256 {record.sha256[:12]}",
        "embarquée" if record.is_embedded else "installée",
        record.origin,
        *(f"+ {item.kind} ({item.origin})" for item in record.attachments),
    ]
    return "  ".join(parts)


@app.command("install")
def install_command(
    file: Annotated[str | None, typer.Argument(help="Fichier officiel ou adresse ; rien : les adresses.")] = None,
    edition: Annotated[str | None, typer.Option(help="Édition, comme 2026 ; sinon l'année du nom du fichier.")] = None,
    valid_from: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Premier jour ; sinon le 1er janvier de l'édition.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Installe un fichier officiel : codes, notes, CMA, hiérarchie, actes, activités, thésaurus."""
    if file is None:
        show_official_pages(as_json)
        return
    done = install(file, edition, _state_dir(), valid_from=valid_from.date() if valid_from else None)
    if as_json:
        _print_json(as_dict(done))
        return
    for phrase in done.detected:
        typer.echo(phrase, err=True)
    typer.echo(edition_line(done.record))


def show_official_pages(as_json: bool = False, reachable: Callable[[str], bool] = is_reachable) -> None:
    """Print where publishers put their files, and whether each answers now.

    Raises:
        ServiceError: none answers.
    """
    pages = [(page, reachable(page.url)) for page in OFFICIAL_PAGES]
    if as_json:
        _print_json([{**asdict(page), "reachable": answers} for page, answers in pages])
    else:
        for page, answers in pages:
            typer.echo(f"{page.nomenclature:5} {page.title} : {page.url} ({'joignable' if answers else 'injoignable'})")
        typer.echo("Télécharger le fichier, puis : pmsi-chain nomenclature install FICHIER --edition ANNÉE", err=True)
    if not any(answers for _, answers in pages):
        raise ServiceError(
            "aucune adresse officielle n'est joignable d'ici : télécharger le fichier d'un autre poste, puis "
            "pmsi-chain nomenclature install FICHIER --edition ANNÉE"
        )


@app.command("diff")
def diff_command(
    old: Annotated[str, typer.Argument(help="Édition de départ, comme 2025.")],
    new: Annotated[str, typer.Argument(help="Édition d'arrivée, comme 2026.")],
    nomenclature: NomenclatureOption = "cim10",
    limit: Annotated[int | None, typer.Option(min=0, help="Codes montrés par rubrique ; tous par défaut.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Ce qui change d'une édition à l'autre : codes ajoutés, supprimés, libellés et types modifiés."""
    state_dir = _state_dir()
    if _nomenclature(nomenclature) == "cim10":
        found = diff_cim10(store.load_cim10(old, state_dir=state_dir), store.load_cim10(new, state_dir=state_dir))
    else:
        found = diff_ccam(store.load_ccam(old, state_dir=state_dir), store.load_ccam(new, state_dir=state_dir))
    if as_json:
        _print_json(found.as_dict())
    else:
        typer.echo(render(found, limit))


def _nomenclature(name: str) -> Nomenclature:
    if name == "cim10":
        return "cim10"
    if name == "ccam":
        return "ccam"
    raise InputError("nomenclature attendue : cim10 ou ccam")
