"""The local cloud's WSGI application: each call to whoever answers it, with the faults that were ordered.

EC2, Auto Scaling and ELBv2 go straight to our classes under the world's lock (moto has none; its Flask apps would
cost a third of the time). CloudWatch answers by itself, without that lock. Everything else is moto's own server.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from moto.core.request import Request
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from include.localcloud.admin import PREFIX, Admin
from include.localcloud.balancing import BalancingResponse
from include.localcloud.ec2 import LocalEC2Response
from include.localcloud.faults import CallCounts, Fault, Faults
from include.localcloud.scaling import ScalingResponse
from include.localcloud.wire import Call, StartResponse, answer_error, answer_page, read_call
from include.localcloud.world import World

log = logging.getLogger(__name__)
ELBV2_VERSION = "2015-12-01"
READS = ("Describe", "Get", "List")
IMDS = "/_localcloud/imds/"


class ServerRequest(Request):
    """moto asks this to know that the date header is the server's business."""

    from_wsgi_server = True


class Application:
    """WSGI callable. `cloudwatch` and `metadata` are WSGI callables too, or None: then moto's, or 404."""

    def __init__(self, world: World, *, cloudwatch: Any | None = None, metadata: Any | None = None) -> None:
        self.world = world
        self.faults, self.calls = Faults(), CallCounts()
        self._cloudwatch, self._metadata = cloudwatch, metadata
        self._admin = Admin(world, self.faults, self.calls)
        self._others = DomainDispatcherApplication(create_backend_app)
        self._others_lock = threading.Lock()
        self._ours = {"ec2": LocalEC2Response, "autoscaling": ScalingResponse, "elbv2": BalancingResponse}

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(IMDS) and self._metadata is not None:
            return self._metadata(environ, start)
        if path.startswith(PREFIX):
            return self._admin(environ, start)
        call = read_call(environ)
        if call is None:
            return self._answer_other(environ, start)
        self.calls.note(time.time(), call.region, call.service, call.action)
        struck = self.faults.draw(call.region, call.service, call.action)
        if not struck:
            return self._answer(call, environ, start)
        return self._answer_with_faults(call, struck, environ, start)

    def _answer_with_faults(
        self, call: Call, struck: list[Fault], environ: dict[str, Any], start: StartResponse
    ) -> Iterable[bytes]:
        time.sleep(sum(fault.latency_seconds for fault in struck))
        refusal = next((fault for fault in struck if fault.is_refusal), None)
        if refusal is not None:
            _read_rest(environ)
            if refusal.page:
                return answer_page(start, refusal.status, refusal.page)
            return answer_error(start, call.service, refusal.status, refusal.code, "ordered by a fault")
        if any(fault.lost_reply for fault in struck):
            for _ in self._answer(call, environ, lambda *answer: None):
                pass
            with suppress(KeyError, OSError):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("a fault lost the reply")
        return self._answer(call, environ, start)

    def _answer(self, call: Call, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        if call.service == "cloudwatch" and self._cloudwatch is not None:
            return self._cloudwatch(environ, start)
        response = self._ours.get(call.service)
        if response is None or (call.service == "elbv2" and call.version != ELBV2_VERSION):
            return self._answer_other(environ, start)
        return self._answer_ours(response, call, environ, start)

    def _answer_ours(self, response: Any, call: Call, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        if call.region not in self.world.regions:
            return answer_error(start, call.service, 400, "InvalidRegion", f"there is no region {call.region} here")
        try:
            with self.world.lock:
                status, headers, body = response.dispatch(ServerRequest(environ))
        except NotImplementedError as error:
            return answer_error(start, call.service, 501, "NotImplemented", str(error))
        except Exception as error:  # moto's own mistakes: AWS would say InternalError, in its own form
            log.exception("%s.%s", call.service, call.action)
            return answer_error(start, call.service, 500, "InternalError", repr(error))
        if not call.action.startswith(READS):
            self.world.wake()
        data = body.encode() if isinstance(body, str) else body
        sent = [(key, str(value)) for key, value in headers.items() if key.lower() not in {"status", "content-length"}]
        start(f"{status} {'OK' if int(status) < 300 else 'Error'}", [*sent, ("Content-Length", str(len(data)))])
        return [data]

    def _answer_other(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        with self._others_lock:
            return list(self._others(environ, start))


def _read_rest(environ: dict[str, Any]) -> None:
    """What is left unread would be taken for the next request of a connection that is kept."""
    with suppress(ValueError, OSError):
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
