"""The judge server as a process: where it may listen, who may ask, its warm-up and its end."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from include.canary.config import Profile
from include.errors import ConfigError, RedstartError
from include.services.judge_request import judge_request
from include.services.judge_server import PROFILES, JudgeServer

_ENDING_SECONDS = 30
_KEPT_SECONDS = 75
_CONNECTIONS = 64
_SHORTEST_TOKEN = 16


def read_token(path: Path) -> str:
    """The token that a file holds, without the space around it. Raises ConfigError for none, or one to be guessed."""
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", source="--token-file", value=str(path)) from error
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        reason = f"must hold one token of at least {_SHORTEST_TOKEN} printable ASCII characters"
        raise ConfigError(reason, source="--token-file", value=str(path))
    return token


def listening_place(listen: str, *, has_token: bool) -> tuple[str, int]:
    """Address and port of `ADDRESS:PORT` or `[IPV6]:PORT`; port 0 takes a free one.

    Raises ConfigError for anything else, and for an address beyond the loopback unless a token is asked for.
    """
    host, _, port = listen.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]")
    try:
        address = ipaddress.ip_address(host)
        number = int(port)
    except ValueError as error:
        raise ConfigError("must be ADDRESS:PORT, as in 127.0.0.1:8095", source="--listen", value=listen) from error
    if not 0 <= number <= 65535:
        raise ConfigError("must have a port of 0 to 65535", source="--listen", value=listen)
    if not address.is_loopback and not has_token:
        reason = "others can reach this address: give --token-file too, or listen on 127.0.0.1"
        raise ConfigError(reason, source="--listen", value=listen)
    return str(address), number


def warm_up() -> None:
    """Judge a small canary by every profile, so that the first real one finds all code loaded and compiled."""
    level = [10.0 + (7 * k % 11) / 10.0 for k in range(48)]
    series = {"level": level, "count": [float(k % 5 == 0) for k in range(48)], "zero": [0.0] * 48}
    options = {"canary": {"direction": "either", "outliers": {"strategy": "remove"}}}
    pairs = [
        {"name": name, "tags": {}, "values": {"control": values, "experiment": [1.5 * value for value in values]}}
        for name, values in series.items()
    ]
    metrics = [{"name": name, "groups": ["warm-up"], "analysisConfigurations": options} for name in series]
    config = {"metrics": metrics, "classifier": {"groupWeights": {"warm-up": 100}}}
    body = {
        "canaryConfig": config,
        "scoreThresholds": {"pass": 95, "marginal": 75},
        "metricSetPairList": pairs,
    }
    for profile in PROFILES:
        judge_request(body, source="warm-up", profile=profile).answer()


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def serve(listen: str, profile: Profile, token: str | None, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, which let judgements under way end; returns by SystemExit(0) then.

    `say` is told the address once requests are answered. Raises ConfigError for a place where it must not listen,
    RedstartError for one that is taken.
    """
    host, port = listening_place(listen, has_token=token is not None)
    # The server answers a signal by ending in good order, then raises it again: for these.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind((host, port))
        except OSError as error:
            raise RedstartError(f"cannot listen on {listen}: {error.strerror}") from error
        warm_up()
        port = place.getsockname()[1]
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        _run(JudgeServer(profile, token), place, lambda: say(f"http://{shown}/judge"))


class _Announcing(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


def _run(server: JudgeServer, place: socket.socket, announce: Callable[[], None]) -> None:
    settings = uvicorn.Config(
        server.app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_KEPT_SECONDS,
        timeout_graceful_shutdown=_ENDING_SECONDS,
    )
    _Announcing(settings, announce).run(sockets=[place])
