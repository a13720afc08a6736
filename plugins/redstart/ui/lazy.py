"""A web application that is imported at its first request."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


class LazyApp:
    """ASGI: `module` has the real application as `app`.

    Plugins are loaded by every task's process. The API server's machinery, which pages need, would cost each of
    them 2 seconds.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._real = cache(lambda: import_module(module).app)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._real()(scope, receive, send)
