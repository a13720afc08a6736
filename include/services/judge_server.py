"""The judge over HTTP, in the place of Kayenta's remote judge: POST /judge, GET /health."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import get_args

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from include.canary.config import Profile
from include.errors import ConfigError, RedstartError
from include.services.judge_request import complaint, json_text, judge_request, read_body

log = logging.getLogger(__name__)

BODY_LIMIT_BYTES = 64 * 2**20
BODY_SECONDS = 60.0  # Kayenta gives up on an answer after 90
WAITING = 6  # bodies held beside those being judged
PROFILES: tuple[Profile, ...] = get_args(Profile)
Handler = Callable[[Request], Awaitable[Response]]


def judge_workers() -> int:
    """How many judgements run at a time."""
    return max(1, min(os.cpu_count() or 1, 4))


class JudgeServer:
    """The application: what was asked, judged in a few threads; the loop stays free to say how it is.

    `token` (None: nobody is asked for one) must come as `Authorization: Bearer <token>` with every judgement.
    """

    def __init__(
        self,
        profile: Profile,
        token: str | None = None,
        *,
        workers: int | None = None,
        body_limit_bytes: int = BODY_LIMIT_BYTES,
    ) -> None:
        self._profile, self._token, self._limit = profile, token, body_limit_bytes
        self._workers = workers or judge_workers()
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="judge")
        self._under_way = 0
        self._judged = 0
        self.app = Starlette(
            routes=[Route("/judge", self._judge, methods=["POST"]), Route("/health", self._health, methods=["GET"])],
            exception_handlers={HTTPException: _say_status, RedstartError: _say_fault, Exception: _say_failure},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        yield
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _health(self, _request: Request) -> Response:
        known = {"status": "up", "profile": self._profile, "judged": self._judged, "under_way": self._under_way}
        return _json(200, known)

    async def _judge(self, request: Request) -> Response:
        self._admit(request)
        profile = self._profile_of(request)
        if self._under_way >= self._workers + WAITING:
            raise HTTPException(503, "too many judgements are waiting", {"retry-after": "5"})
        self._under_way += 1
        try:
            text = await self._body_of(request)
            answer = await asyncio.get_running_loop().run_in_executor(self._pool, _answer, text, profile)
        finally:
            self._under_way -= 1
        self._judged += 1
        return Response(answer, media_type="application/json")

    def _admit(self, request: Request) -> None:
        if self._token is None:
            return
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(given.strip().encode(), self._token.encode())
        if kind.lower() != "bearer" or not is_right:
            raise HTTPException(401, "a bearer token is needed", {"www-authenticate": "Bearer"})

    def _profile_of(self, request: Request) -> Profile:
        asked = request.query_params.get("profile", self._profile)
        for profile in PROFILES:
            if asked == profile:
                return profile
        raise ConfigError(f"must be one of {', '.join(PROFILES)}", source="query", key="profile", value=asked)

    async def _body_of(self, request: Request) -> bytes:
        too_long = HTTPException(413, f"a body may have {self._limit} bytes")
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise HTTPException(415, "a body must come as it is, not compressed")
        if int(request.headers.get("content-length", "0")) > self._limit:
            raise too_long
        text = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    text += chunk
                    if len(text) > self._limit:
                        raise too_long
        except TimeoutError as error:
            raise HTTPException(408, f"the body did not come within {BODY_SECONDS:g} s") from error
        except ClientDisconnect as error:
            raise HTTPException(400, "the body ended early") from error
        return bytes(text)


def _answer(text: bytes, profile: Profile) -> str:
    began = time.monotonic()
    judged = judge_request(read_body(text, source="request"), source="request", profile=profile)
    answer = json_text(judged.answer())
    # Numbers only: names come from whoever asks.
    metrics, score = len(judged.verdict.metrics), judged.verdict.score
    log.info("judged %d metrics by %s in %.2f s: score %g", metrics, profile, time.monotonic() - began, score)
    return answer


def _json(status: int, content: object, headers: dict[str, str] | None = None) -> Response:
    return Response(json_text(content), status, headers, media_type="application/json")


def _say_status(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code in {401, 408, 413, 415}:
        headers["connection"] = "close"  # what is left of the body is not read
    return _json(error.status_code, complaint(RedstartError(error.detail)), headers)


def _say_fault(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RedstartError)
    return _json(400, complaint(error))


def _say_failure(_request: Request, error: Exception) -> Response:
    return _json(500, complaint(RedstartError(f"the judge failed ({type(error).__name__}); its log says more")))
