"""`POST /redstart/webhook`: a repository's host says that a branch has moved. It needs a signature, and no login.

All that it does is to count one more in the branch's row; the branch's watcher then asks the repository itself. So a
word that is said again, late or by a thief of it starts nothing that a look at the repository would not have started.
"""

from __future__ import annotations

import asyncio
import logging

from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from include.apps import DeliverFlow, VerifyFlow, app_names, load_app
from include.apps.webhook import MOST_BYTES, Ignored, NotSignedError, Push, UnreadableError, find_repository, read_push
from include.errors import ConfigError, RetryableError
from redstart.hooks.ledger import LedgerHook
from redstart.hooks.webhook import WebhookHook
from redstart.operators import clock

PATH = "/webhook"
READ_SECONDS = 10.0
log = logging.getLogger(__name__)


async def receive(request: Request) -> Response:
    """202 where a branch's row has been written, 200 with a word where nothing follows from what was said.

    400 no push, 401 not signed, 404 a repository that nothing is delivered from, 408 and 413 a body that does not end
    soon, 503 no secret is set, or the ledger does not answer.
    """
    try:
        async with asyncio.timeout(READ_SECONDS):
            body = await _read(request)
    except ClientDisconnect:
        return _refusal(400, "The body did not come to its end.")
    except TimeoutError:
        return _refusal(408, f"The body did not come within {READ_SECONDS:.0f} s.")
    if body is None:
        return _refusal(413, f"More than {MOST_BYTES} bytes are no push.")
    try:
        # In a thread: connections and the ledger may be databases.
        return await run_in_threadpool(_answer, dict(request.headers), body)
    except NotSignedError as error:
        return _refusal(401, str(error))
    except UnreadableError as error:
        return _refusal(400, str(error))
    except ConfigError as error:
        log.error("A webhook cannot be received: %s", error)
        return _refusal(503, f"This installation takes no webhooks: {error}")
    except RetryableError as error:
        log.warning("A webhook was not kept, the next poll will see the branch: %s", error)
        return _refusal(503, "The ledger does not answer; the next poll will see the branch.")


async def _read(request: Request) -> bytes | None:
    """The body; None where it is longer than anybody's push."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


def _answer(headers: dict[str, str], body: bytes) -> Response:
    told = read_push(headers, body, WebhookHook().secret())
    if isinstance(told, Ignored):
        return JSONResponse({"ignored": told.why})
    branches = _followed_branches()
    repository = find_repository(told.repository, branches)
    if repository is None:
        return _refusal(404, "Nothing is delivered from this repository.")
    if told.branch not in branches[repository]:
        return JSONResponse({"ignored": "no flow follows this branch"})
    return _nudge(repository, told)


def _nudge(repository: str, push: Push) -> Response:
    ledger = LedgerHook().ledger()
    try:
        number = ledger.nudge(repository, push.branch, push.commit, clock.now())
    finally:
        ledger.close()
    return JSONResponse({"nudged": {"repository": repository, "branch": push.branch, "number": number}}, 202)


def _followed_branches() -> dict[str, set[str]]:
    """Repository -> branches that a flow follows. An application that cannot be read is not told of."""
    found: dict[str, set[str]] = {}
    for name in app_names():
        try:
            app = load_app(name)
        except ConfigError as error:
            log.warning("%s", error)
            continue
        flows = [one for one in app.flows.values() if isinstance(one, VerifyFlow | DeliverFlow)]
        found.setdefault(app.source.repository, set()).update(flow.branch for flow in flows)
    return found


def _refusal(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)
