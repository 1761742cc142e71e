"""The agent's tools over the Model Context Protocol, with its official SDK, on stdin and stdout.

A tool's own refusals come back as its answer with `isError`; they never hold a word of a report.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool
from pydantic import BaseModel

from pmsi_chain import __version__
from pmsi_chain.serving.guard import log_unexpected
from pmsi_chain.serving.told import UNEXPECTED

INSTRUCTIONS = (
    "Outils de codage PMSI MCO : chercher des codes CIM-10 FR et CCAM, lire un code et les règles du Guide "
    "méthodologique, vérifier un codage, coder un compte rendu avec ses preuves. Tout est calculé sur cette machine."
)


def mcp_server(tools: Sequence[BaseTool]) -> Server[Any]:
    """An MCP server of LangChain tools."""
    by_name = {tool.name: tool for tool in tools}

    async def list_tools(context: Any, params: Any) -> ListToolsResult:
        return ListToolsResult(
            tools=[Tool(name=t.name, description=t.description, input_schema=_schema(t)) for t in tools]
        )

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        tool = by_name.get(params.name)
        if tool is None:
            return _result(f"Outil inconnu. Outils : {', '.join(by_name)}.", refused=True)
        call_id = uuid.uuid4().hex
        call = {"type": "tool_call", "name": tool.name, "args": params.arguments or {}, "id": call_id}
        try:
            message = await asyncio.to_thread(tool.invoke, call)
        except Exception as error:
            log_unexpected(error, call_id)
            return _result(UNEXPECTED, refused=True)
        assert isinstance(message, ToolMessage)  # noqa: S101  # what a tool makes of a tool call
        return _result(message.text, refused=message.status == "error")

    return Server(
        "pmsi-chain",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def run_stdio(tools: Sequence[BaseTool]) -> None:
    """Serve the tools on stdin and stdout until stdin closes."""

    async def serve() -> None:
        server = mcp_server(tools)
        async with stdio_server() as (read_stream, write_stream):
            await server.run(read_stream, write_stream, server.create_initialization_options())

    asyncio.run(serve())


def _schema(tool: BaseTool) -> dict[str, Any]:
    schema = tool.args_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return schema.model_json_schema()
    return dict(schema) if isinstance(schema, dict) else {"type": "object", "properties": {}}


def _result(text: str, *, refused: bool) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=refused)
