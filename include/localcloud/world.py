"""The world of the local cloud: moto's records made real by machines and routers, one step at a time.

`tick()` moves everything on by one step: it looks at machines and routers, changes records, and then asks machines
and routers for what the records now want. Records are only touched under `lock`; machines and routers are asked
without it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from include.errors import RedstartError
from include.localcloud import balancing, ec2, moto_library, scaling, stage
from include.localcloud.accounts import PROD_ACCOUNT, InstanceKeys
from include.localcloud.ec2_images import register_base_image
from include.localcloud.ec2_instances import StateReason, set_state
from include.localcloud.metrics import TrafficMetrics
from include.localcloud.routing import Routers
from include.localcloud.seams import Clock, Machines, RouterFactory
from include.localcloud.speeds import Speeds

log = logging.getLogger(__name__)

TEST_ACCOUNT = "210987654321"
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
TICK_SECONDS = 0.25
FAILED = StateReason("Server.InternalError: Internal error on launch", "Server.InternalError")


class World:
    """Control plane of all accounts and regions.

    With `is_moved_by_tests` nothing runs aside: `tick` does all, in the caller's thread.
    """

    def __init__(
        self,
        clock: Clock,
        machines: Machines,
        router_factory: RouterFactory,
        *,
        metrics: Any | None = None,
        accounts: Sequence[str] = (PROD_ACCOUNT, TEST_ACCOUNT),
        regions: Sequence[str] = REGIONS,
        speeds: Speeds | None = None,
        is_moved_by_tests: bool = False,
    ) -> None:
        self.clock, self.machines = clock, machines
        self.accounts, self.regions = tuple(accounts), tuple(regions)
        self.speeds = speeds or Speeds()
        self.is_moved_by_tests = is_moved_by_tests
        self.lock = threading.RLock()
        self.routers = Routers(router_factory)
        self.metrics = TrafficMetrics(metrics)
        self.instance_keys = InstanceKeys()
        self._ticking = threading.Lock()
        self._wishes: list[Callable[[], None]] = []
        self._aside: Executor = _Inline() if is_moved_by_tests else ThreadPoolExecutor(2, thread_name_prefix="snapshot")
        self._woken = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        install(self)

    def tick(self) -> None:
        """One step. Safe to call from any thread; steps never overlap."""
        with self._ticking:
            now = self.clock.now()
            health = self.routers.read_health()
            with self.lock:
                ec2.settle(now)
                balancing.settle(now, health)
                scaling.settle(now)
                specs = balancing.all_specs(now)
                wishes, self._wishes = self._wishes, []
            self.routers.apply(specs)
            for wish in wishes:
                wish()
            self.metrics.publish_if_due(now, self.routers.read_counts)

    def wake(self) -> None:
        """Records changed: the next step need not wait. In tests' mode it is taken now."""
        if self.is_moved_by_tests:
            self.tick()
        else:
            self._woken.set()

    def start(self) -> None:
        """Step by itself, every 250 ms and when woken."""
        self._thread = threading.Thread(target=self._run, name="world", daemon=True)
        self._thread.start()

    def do_later(self, wish: Callable[[], None]) -> None:
        """Asked of machines when the records' lock is free."""
        self._wishes.append(wish)

    def ask_machine(self, instance: Any, launch: Callable[[], None]) -> None:
        """Launch now or never: what the machines refuse is a failed instance."""

        def attempt() -> None:
            try:
                launch()
            except (RedstartError, OSError) as error:
                log.warning("%s does not boot: %s", instance.id, error)
                with self.lock:
                    set_state(instance, "shutting-down", FAILED)
                    instance.boot_error = str(error)
            else:
                instance.is_launched = True

        self.do_later(attempt)

    def run_aside(self, work: Callable[[], str]) -> Future[str]:
        return self._aside.submit(work)

    def register_base_image(self, account: str, region: str, content_id: str, name: str = "redstart-base-1") -> str:
        """The image that everything is baked from; idempotent. Returns its id."""
        with self.lock:
            return register_base_image(account, region, name, content_id)

    def scale_by_policy(self, group: str, desired: int, *, region: str, account: str = PROD_ACCOUNT) -> bool:
        """What an alarm of the group's scaling policy would do; False where its alarms are suspended."""
        with self.lock:
            is_done = scaling.scale_by_policy(account, region, group, desired)
        self.wake()
        return is_done

    def reset(self) -> None:
        """Forget every record, machine and router; the world goes on empty."""
        with self._ticking, self.lock:
            self._wishes = []
            moto_library.forget_everything()
            self.routers.close()
            self.machines.close()
            self.metrics.reset()

    def close(self) -> None:
        """End the steps, all machines and all routers."""
        self._is_closed = True
        self._woken.set()
        if self._thread:
            self._thread.join(5)
        self._aside.shutdown(wait=False, cancel_futures=True)
        self.routers.close()
        self.machines.close()

    def _run(self) -> None:
        while not self._is_closed:
            self._woken.wait(TICK_SECONDS)
            self._woken.clear()
            if self._is_closed:
                return
            try:
                self.tick()
            except Exception:  # one bad record must not stop the world
                log.exception("a step of the world failed")


class _Inline(Executor):
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def install(world: World) -> None:
    """Put our classes in moto's place; `world` is the one they work in."""
    moto_library.prepare_environment()
    stage.enter(world)
    ec2.install()
    balancing.install()
    scaling.install()
