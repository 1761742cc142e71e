"""An HTTP server that loses no request when it is told to stop."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

DRAIN_S = 0.5


class DrainingServer(uvicorn.Server):
    """Goes on answering for a moment, telling clients to close their connections, and only then stops listening.

    A server that stops at once closes kept connections on which a request may already be on its way.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then stop as any server: what was received is answered first."""
        self.config.app.state.draining = True  # type: ignore[union-attr]  # our application, see `create_app`
        await asyncio.sleep(DRAIN_S)
        await super().shutdown(sockets)
