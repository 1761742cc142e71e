"""The MCP server as a process, driven by the official client SDK."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TextIO

from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import CallToolResult, TextContent

from pmsi_chain import CodingChain
from pmsi_chain.agent import coding_tools
from tests.serving_support import CANARY, REPORT

SERVER = StdioServerParameters(
    command=sys.executable, args=["-c", "from pmsi_chain.cli import main; main()", "mcp"], env=dict(os.environ)
)


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[TextIO]:
    with path.open("w", encoding="utf-8") as file:
        yield file


async def test_the_official_client_drives_the_tools(chain: CodingChain, tmp_path: Path) -> None:
    server = SERVER.model_copy(update={"env": dict(os.environ)})
    tools = {tool.name: tool for tool in coding_tools(chain.engine, chain)}
    log = tmp_path / "stderr"
    async with (
        opened(log) as errlog,
        Client(stdio_client(server, errlog=errlog), read_timeout_seconds=60) as client,
    ):
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(listed) == list(tools)
        assert all(tool.description for tool in listed.values())
        assert listed["search_icd10"].input_schema["required"] == ["query"]

        async def called(name: str, **arguments: Any) -> CallToolResult:
            return await client.call_tool(name, arguments)

        card = await called("get_code", code="e440")
        assert not card.is_error
        assert json.loads(text_of(card))["code"] == "E44.0"

        arguments = {"query": "infarctus du myocarde inférieur", "top_k": 3}
        assert text_of(await called("search_icd10", **arguments)) == tools["search_icd10"].invoke(arguments)

        coded = json.loads(text_of(await called("code_report", report=REPORT, sex="F", age=74)))
        proofs = [line["preuve"] for line in (coded["dp"], *coded["das"]) if line]
        assert proofs
        assert all(proof in REPORT for proof in proofs)

        findings = json.loads(text_of(await called("check_coding", dp="V00.00")))
        assert findings["bloquant"]

        refused = await called("get_code", code="E44.7")
        assert refused.is_error
        assert "E44.0" in text_of(refused)
        wrong = await called("code_report", report=CANARY, age=-1)
        assert wrong.is_error
        assert CANARY not in text_of(wrong)
        unknown = await called(CANARY)
        assert unknown.is_error
        assert "get_code" in text_of(unknown)
        assert CANARY not in text_of(unknown)
    logged = log.read_text(encoding="utf-8")
    assert CANARY not in logged
    assert "Traceback" not in logged
