"""Live traffic for the demo: one open-loop generator per region, all in one process, every request counted.

    python -m include.services.traffic

It asks AWS where production's load balancer of each region is, waits until the application answers there, and sends
what the application's own traffic.toml says clients ask for. Counters survive a restart in <home>/traffic.json.
What is sent to `api` is told to the metric store each minute, as the application's settings name its series.

Rates are by place: a region of `api`, or `<app>/<region>`. Those of another application may wait for as long as nothing
serves there.
"""

from __future__ import annotations

import asyncio
import http.client
import signal
import sys
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from include.apps import Environment, load_app
from include.apps.windows import TrafficMetric
from include.errors import ConfigError, RedstartError, RefusedError
from include.loadgen import Counters, Generator, Mix, Plan, Target, new_event_loop
from include.services.settings import APP, PROJECT, Settings
from include.services.traffic_counts import Ledger
from include.services.traffic_http import serve
from include.services.traffic_market import MarketReport, metric_client

MIX_FILE = PROJECT / "examples" / "api" / "traffic.toml"
TIMEOUT_SECONDS = 10.0
MAX_RPS = 5000.0
LOOK_SECONDS = 0.5
PATIENT_LOOK_SECONDS = 5.0
WRITE_SECONDS = 1.0
GRACE_SECONDS = 2.0
ANSWERS_WANTED = 3


class Traffic:
    """The generators of all regions, and the board that the HTTP server shows."""

    def __init__(self, settings: Settings, mix: Mix) -> None:
        self.settings, self.mix = settings, mix
        self.rps = read_rates(settings.traffic_rps)
        self.generators: dict[str, Generator] = {}
        self.waiting_for = dict.fromkeys(self.rps, "its load balancer")
        self.stop = asyncio.Event()
        settings.home.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger(settings.home / "traffic.json", datetime.now(UTC))
        self.market = MarketReport(market_series(self.rps), lambda region: metric_client(settings.cloud_url, region))

    async def run(self) -> None:
        """Until `stop` is set; then what is under way gets up to two seconds."""
        server = await serve(self, self.settings.traffic_port)
        beside = [asyncio.create_task(self._write_regularly()), asyncio.create_task(self.market.run(self._sent))]
        try:
            await asyncio.gather(*(self._run_region(region) for region in self.rps))
        finally:
            server.close()
            for task in beside:
                task.cancel()
            self._write()

    def health(self) -> tuple[bool, Mapping[str, Any]]:
        """Up when every region of `api` gets its requests."""
        return not any(is_awaited(place) for place in self.waiting_for), {"waiting_for": self.waiting_for}

    def counters(self) -> Mapping[str, Any]:
        samples = {region: generator.failures for region, generator in self.generators.items()}
        return self.ledger.report(self._now(), self.rps, samples)

    def set_rps(self, wished: Mapping[str, object]) -> Mapping[str, float]:
        rates = {region: _rate(region, value) for region, value in wished.items()}
        if unknown := set(rates) - set(self.rps):
            raise RefusedError(f"no traffic in {', '.join(sorted(unknown))}; there is {', '.join(self.rps)}")
        for region, rate in rates.items():
            self.rps[region] = rate
            if region in self.generators:
                self.generators[region].set_rps(rate)
        return self.rps

    async def _run_region(self, place: str) -> None:
        target = await self._await_target(place)
        if target is None:
            return
        seed = list(self.rps).index(place)
        plan = Plan((target,), self.rps[place], self.mix, seed=seed, timeout_seconds=TIMEOUT_SECONDS)
        self.generators[place] = Generator(plan)
        del self.waiting_for[place]
        print(f"traffic: {self.rps[place]:g} requests/s to {target.host}:{target.port} ({place})", flush=True)
        await self.generators[place].run(self.stop, grace_seconds=GRACE_SECONDS)

    async def _await_target(self, place: str) -> Target | None:
        """Where the place's application answers; None when the service is stopped before."""
        site, region = site_of(place)
        every = LOOK_SECONDS if is_awaited(place) else PATIENT_LOOK_SECONDS
        target: Target | None = None
        answers = 0
        while not self.stop.is_set():
            target = target or await asyncio.to_thread(find_target, self.settings, site.load_balancer, region)
            if target is not None:
                self.waiting_for[place] = f"an answer of {target.host}:{target.port}"
                answers = answers + 1 if await asyncio.to_thread(does_answer, target, site.health_path) else 0
            if target is not None and answers >= ANSWERS_WANTED:
                return target
            if not answers:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.stop.wait(), every)
        return None

    async def _write_regularly(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                self._write()
            except OSError as error:  # a full disk must not end the traffic
                print(f"traffic: counters are not kept: {error}", file=sys.stderr, flush=True)

    def _write(self) -> None:
        self.ledger.write(self.counters(), self._now())

    def _sent(self) -> dict[str, int]:
        return {place: generator.sent for place, generator in self.generators.items()}

    def _now(self) -> dict[str, Counters]:
        return {region: self.generators[region].counters() for region in self.rps if region in self.generators}


def read_rates(text: str) -> dict[str, float]:
    """`us-east-1=140,search/eu-west-1=50` -> requests per second by place. ConfigError for what is neither."""
    rates = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        place, _, value = part.partition("=")
        try:
            rates[place.strip()] = _rate(place, float(value))
            site_of(place.strip())
        except (ValueError, RefusedError) as error:
            raise ConfigError(str(error), source="REDSTART_TRAFFIC_RPS", value=part) from error
    return rates


def market_series(places: Iterable[str]) -> dict[str, TrafficMetric]:
    """Region of `api` -> the series of its market, where the settings name one: that market is `api`'s alone."""
    windows = load_app(APP).prod.windows
    metric = windows.traffic if windows else None
    return {place: metric for place in places if is_awaited(place)} if metric else {}


def site_of(place: str) -> tuple[Environment, str]:
    """Production of the place's application, and the region. RefusedError where it does not run there."""
    name, _, region = place.rpartition("/")
    site = load_app(name or APP).prod
    if region not in site.region_names:
        raise RefusedError(f"{name or APP} runs in {', '.join(site.region_names)}")
    return site, region


def is_awaited(place: str) -> bool:
    """Whether the traffic is not all there without it: another application's first version comes when it comes."""
    return "/" not in place


def _rate(region: str, value: object) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not isfinite(value)
        or not 0 <= value <= MAX_RPS
    ):
        raise RefusedError(f"{region}: requests per second must be a number from 0 to {MAX_RPS:g}")
    return float(value)


def read_mix(path: Path = MIX_FILE) -> Mix:
    """What clients ask for, from the application's own file."""
    try:
        return Mix.from_document(tomllib.loads(path.read_text("utf-8")), source=str(path))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", source=str(path)) from error


def find_target(settings: Settings, load_balancer: str, region: str) -> Target | None:
    """Address and port of a load balancer, from AWS; None while there is none or AWS does not answer."""
    client = boto3.client(
        "elbv2",
        region_name=region,
        endpoint_url=settings.cloud_url,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - the local cloud checks no signature
        config=Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 1}),
    )
    try:
        balancers = client.describe_load_balancers(Names=[load_balancer])["LoadBalancers"]
        listeners = client.describe_listeners(LoadBalancerArn=balancers[0]["LoadBalancerArn"])["Listeners"]
        return Target(balancers[0]["DNSName"], int(listeners[0]["Port"]))
    except (BotoCoreError, ClientError, LookupError):
        return None
    finally:
        client.close()


def does_answer(target: Target, path: str) -> bool:
    """Whether an instance answers behind the balancer (which itself answers 503 while it has none)."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main() -> int:
    async def live(settings: Settings) -> None:
        traffic = Traffic(settings, read_mix())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, traffic.stop.set)
        await traffic.run()

    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(live(Settings()))
    except RedstartError as error:
        print(f"traffic: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
