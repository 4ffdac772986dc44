"""An HTTP answer whose connection ends when nobody wants the rest of it."""

from __future__ import annotations

import aiohttp

__all__ = ["AbortingAnswer"]


class AbortingAnswer(aiohttp.ClientResponse):
    """An answer; where it is given up before its end, its connection ends at once."""

    def close(self) -> None:
        """End the connection unless it was given back."""
        # TLS would end politely and wait for a server that still has much to say: the socket would outlive us.
        if self.connection and self.connection.transport:
            self.connection.transport.abort()
        super().close()
