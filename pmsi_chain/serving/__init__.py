"""The coding chain over HTTP (`app.create_app`) and over MCP (`mcp_stdio`), and the commands that start them.

Nothing here imports FastAPI, uvicorn or the MCP SDK before it is used: they are extras.
"""
