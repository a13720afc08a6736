"""The one HTTP server of the local cloud, on 127.0.0.1."""

from __future__ import annotations

import socket
import threading
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from include.errors import RefusedError


class _Handler(WSGIRequestHandler):
    """Keeps connections; headers and body leave at once, or boto3 would wait 40 ms for each answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """A line per call would be thousands a minute."""

    def connection_dropped(self, error: BaseException, environ: dict[str, Any] | None = None) -> None:
        self.close_connection = True


class Server:
    """Serves `application` from the moment it is made; `port` 0 takes a free one. A taken port: RefusedError."""

    def __init__(self, application: Any, port: int) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(256)
        except OSError as error:
            listener.close()
            reason = f"127.0.0.1:{port} is in use ({error.strerror}): the local cloud cannot listen there."
            raise RefusedError(reason) from error
        self._server = ThreadedWSGIServer("127.0.0.1", port, application, handler=_Handler, fd=listener.fileno())
        listener.close()  # the server has a copy of its own
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="http", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
