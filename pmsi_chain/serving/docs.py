"""The OpenAPI description as one page that needs nothing from elsewhere."""

from __future__ import annotations

import html
import json
from typing import Any

_PAGE = """<!doctype html>
<html lang="fr"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title>
<style>
body{{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1f24;background:#fff}}
code,pre{{font-family:ui-monospace,monospace}}pre{{background:#f6f8fa;padding:1rem;overflow:auto}}
summary{{cursor:pointer;padding:.25rem 0}}h2{{margin-top:2rem}}
</style></head><body>
<h1>{title}</h1><p>{description}</p>
<p>Description complète : <a href="/openapi.json">openapi.json</a>. Page de codage : <a href="/">accueil</a>.</p>
{groups}
<h2>Schémas</h2>{schemas}
</body></html>"""


def docs_page(openapi: dict[str, Any]) -> str:
    """HTML of an OpenAPI description: routes by group, then the schemas they name."""
    groups: dict[str, list[str]] = {}
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["Autres"])[0]
            groups.setdefault(tag, []).append(_operation(method, path, operation))
    return _PAGE.format(
        title=html.escape(openapi["info"]["title"]),
        description=html.escape(openapi["info"].get("description", "")),
        groups="".join(f"<h2>{html.escape(tag)}</h2>{''.join(operations)}" for tag, operations in groups.items()),
        schemas="".join(
            _details(html.escape(name), schema)
            for name, schema in openapi.get("components", {}).get("schemas", {}).items()
        ),
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    told = {key: operation[key] for key in ("parameters", "requestBody", "responses") if key in operation}
    title = f"<code>{method.upper()} {html.escape(path)}</code> {html.escape(operation.get('summary', ''))}"
    return _details(title, told)


def _details(title: str, content: Any) -> str:
    body = html.escape(json.dumps(content, ensure_ascii=False, indent=2))
    return f"<details><summary>{title}</summary><pre>{body}</pre></details>"
