"""The local cloud as a process: real machines, real routers, one HTTP server on 127.0.0.1:<cloud_port>.

    python -m include.services.local_cloud

SIGTERM and SIGINT end it with everything it started. The network is made by network_seed.py, over the API.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from types import FrameType

from include.errors import RedstartError
from include.localcloud.accounts import account_of
from include.localcloud.admin import instance_facts
from include.localcloud.clock import SystemClock
from include.localcloud.cloudwatch import CloudWatch
from include.localcloud.dispatch import Application
from include.localcloud.envoy import EnvoyRouters
from include.localcloud.images import ContentStore
from include.localcloud.machines import ProcessMachines
from include.localcloud.metadata import MetadataService
from include.localcloud.server import Server
from include.localcloud.speeds import Speeds
from include.localcloud.world import World
from include.services.network_seed import admin_address
from include.services.settings import PROD_ACCOUNT, REGIONS, TEST_ACCOUNT, Settings

ADMIN_PORT = 9901


class LocalCloud:
    """Serves from the moment it is made. A taken port, or a home that another one uses: RefusedError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        clock, speeds = SystemClock(), Speeds(boot_seconds=settings.boot_seconds)
        cloudwatch = CloudWatch(clock, account_of)
        self._gate = _Gate()
        self.server = Server(self._gate, settings.cloud_port)  # first: a taken port must not disturb who has it
        try:
            store = ContentStore(settings.cloud_home / "images")
            machines = ProcessMachines(store, settings.cloud_home, settings.cloud_url, lambda spec: speeds.boot_seconds)
        except BaseException:
            self.server.close()
            raise
        routers = EnvoyRouters(settings.cloud_home, self._admin_address)
        self.world = World(clock, machines, routers, metrics=cloudwatch, speeds=speeds)
        metadata = MetadataService(lambda instance_id: instance_facts(self.world, instance_id))
        base = store.base_content()
        for account in (PROD_ACCOUNT, TEST_ACCOUNT):
            for region in REGIONS:
                self.world.register_base_image(account, region, base)
        self.world.start()
        self._gate.open(Application(self.world, cloudwatch=cloudwatch, metadata=metadata))

    def close(self) -> None:
        self.server.close()
        self.world.close()

    def _admin_address(self, account: str, region: str) -> tuple[str, int]:
        return admin_address(self._settings, account, region), ADMIN_PORT


class _Gate:
    """Lets requests wait until the application behind it is there."""

    def __init__(self) -> None:
        self._opened = threading.Event()

    def open(self, application: Application) -> None:
        self._application = application
        self._opened.set()

    def __call__(self, environ: dict[str, object], start: object) -> object:
        self._opened.wait()
        return self._application(environ, start)  # type: ignore[arg-type]


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        cloud = LocalCloud(Settings())
    except RedstartError as error:
        print(f"local cloud: {error}", file=sys.stderr, flush=True)
        return 2
    print(f"local cloud: {cloud.server.url}", flush=True)
    stopped.wait()
    cloud.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
