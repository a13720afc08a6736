"""Machines of the local cloud: real processes that boot from image content, switch off, are killed, leave nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.errors import RefusedError
from include.localcloud.images import ContentStore
from include.localcloud.machines import ProcessMachines
from include.localcloud.seams import MachineSpec
from tests.support import processes

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]

CLOUD = "http://127.0.0.1:28329"


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "images")


@pytest.fixture
def machines(tmp_path: Path, store: ContentStore) -> Iterator[ProcessMachines]:
    machines = ProcessMachines(
        store, tmp_path, CLOUD, lambda spec: 0.05, user_data_limit_seconds=1.0, stop_grace_seconds=0.5
    )
    yield machines
    machines.close()
    assert processes.pids_with(f"INSTANCE_ROOT={tmp_path}/instances/i-1") == []


def spec(content_id: str, user_data: str = "", instance_id: str = "i-1") -> MachineSpec:
    return MachineSpec(
        instance_id, "123456789012", "us-west-2", "us-west-2b", "127.70.2.7", content_id, user_data.encode()
    )


def image_that_runs(store: ContentStore, folder: Path, script: str) -> str:
    """The base image with an application."""
    store.copy_to(store.base_content(), folder)
    run = folder / "opt/app/run"
    run.parent.mkdir(parents=True)
    run.write_text(script)
    run.chmod(0o755)
    content_id = store.add_tree(folder)
    shutil.rmtree(folder)
    return content_id


def await_state(machines: ProcessMachines, state: str, instance_id: str = "i-1", *, seconds: float = 5.0) -> None:
    processes.wait_until(lambda: machines.state(instance_id) == state, seconds=seconds, what=f"{instance_id} {state}")


def test_a_machine_boots_its_own_copy_with_user_data_and_application(
    machines: ProcessMachines, store: ContentStore, tmp_path: Path
) -> None:
    content_id = image_that_runs(
        store, tmp_path / "build", "#!/bin/sh\npwd\ncat made\nenv > a\nmv a seen\nexec sleep 60\n"
    )
    machines.launch(spec(content_id, "#!/bin/sh\necho from user data > made\nexit 3\n"))
    machines.launch(spec(content_id))
    assert machines.state("i-1") == "booting"
    root = tmp_path / "instances/i-1"
    processes.wait_until(lambda: (root / "seen").exists())
    await_state(machines, "running")
    processes.wait_until(lambda: "from user data" in machines.console("i-1"))
    console = machines.console("i-1")
    assert f"{root}\nfrom user data\n" in console
    assert "user data ended with status 3" in console, "and the boot went on, as on EC2"
    seen = dict(line.split("=", 1) for line in (root / "seen").read_text().splitlines())
    assert seen.pop("PATH").split(":")[:2] == [str(Path(sys.executable).parent), f"{root}/sbin"]
    assert seen.pop("PWD") == str(root)
    seen.pop("REDSTART_STACK", None)
    for shell_own in ("OLDPWD", "SHLVL", "_"):
        seen.pop(shell_own, None)
    assert seen == {
        "HOME": f"{root}/root",
        "AWS_ENDPOINT_URL": CLOUD,
        "AWS_REGION": "us-west-2",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{CLOUD}/_localcloud/imds/i-1",
        "INSTANCE_ROOT": str(root),
    }
    assert not (store.path(content_id) / "made").exists(), "the image is not what the machine writes to"


def test_user_data_that_never_ends_is_killed_and_said(machines: ProcessMachines, store: ContentStore) -> None:
    machines.launch(spec(store.base_content(), "#!/bin/sh\nsleep 60 & sleep 60\n"))
    await_state(machines, "stopped")
    assert "user data did not end within 1 s: killed, machine stopped" in machines.console("i-1")


@pytest.mark.parametrize("command", ["shutdown -h now", "poweroff", "halt"])
def test_shutdown_in_user_data_stops_the_machine(machines: ProcessMachines, store: ContentStore, command: str) -> None:
    machines.launch(spec(store.base_content(), f"#!/bin/sh\nsleep 60 &\n{command}\nsleep 60\n"))
    await_state(machines, "stopped")


def test_shutdown_by_the_application_stops_the_machine(
    machines: ProcessMachines, store: ContentStore, tmp_path: Path
) -> None:
    script = "#!/bin/sh\necho serving\nuntil [ -e enough ]; do sleep 0.02; done\nshutdown -h now\nsleep 60\n"
    machines.launch(spec(image_that_runs(store, tmp_path / "build", script)))
    await_state(machines, "running")
    (tmp_path / "instances/i-1/enough").touch()
    await_state(machines, "stopped")


def test_a_machine_whose_init_ends_is_stopped(machines: ProcessMachines, store: ContentStore, tmp_path: Path) -> None:
    machines.launch(spec(image_that_runs(store, tmp_path / "build", "#!/bin/sh\nsleep 60 &\nexit 7\n")))
    await_state(machines, "stopped")
    assert "init ended with status 7" in machines.console("i-1")


def test_stop_lets_processes_finish_and_then_kills(
    machines: ProcessMachines, store: ContentStore, tmp_path: Path
) -> None:
    trap = "trap 'echo finishing; exit 0' TERM\n(trap '' TERM; sleep 60) &\n"
    script = f"#!/bin/sh\n{trap}echo ready\nwhile :; do sleep 0.05; done\n"
    machines.launch(spec(image_that_runs(store, tmp_path / "build", script)))
    processes.wait_until(lambda: "ready" in machines.console("i-1"))
    machines.stop("i-1")
    await_state(machines, "stopped")
    assert "finishing" in machines.console("i-1")


def test_kill_ends_everything_at_once_even_what_ran_away(
    machines: ProcessMachines, store: ContentStore, tmp_path: Path
) -> None:
    runaway = "#!/bin/sh\nsetsid sh -c 'setsid sleep 61 & sleep 62' &\nexec sleep 60\n"
    machines.launch(spec(image_that_runs(store, tmp_path / "build", runaway)))
    await_state(machines, "running")
    marker = f"INSTANCE_ROOT={tmp_path}/instances/i-1"
    processes.wait_until(lambda: len(processes.pids_with(marker)) == 5, what="warden, init, sh and two sleeps")
    machines.kill("i-1")
    assert machines.state("i-1") == "stopped"
    assert processes.pids_with(marker) == []


def test_a_killed_warden_leaves_nothing(machines: ProcessMachines, store: ContentStore, tmp_path: Path) -> None:
    script = "#!/bin/sh\nsetsid sh -c 'setsid sleep 61 & sleep 62' &\nexec sleep 60\n"
    machines.launch(spec(image_that_runs(store, tmp_path / "build", script)))
    marker = f"INSTANCE_ROOT={tmp_path}/instances/i-1"
    processes.wait_until(lambda: len(processes.pids_with(marker)) == 5)
    os.kill(machines._machines["i-1"].process.pid, signal.SIGKILL)
    await_state(machines, "stopped")
    assert processes.pids_with(marker) == []


def test_terminate_deletes_the_disk(machines: ProcessMachines, store: ContentStore, tmp_path: Path) -> None:
    machines.launch(spec(store.base_content()))
    machines.launch(spec(store.base_content(), instance_id="i-2"))
    for instance_id in ("i-1", "i-2"):
        await_state(machines, "running", instance_id)
    machines.kill("i-2")
    for instance_id in ("i-1", "i-2", "i-unknown"):
        machines.terminate(instance_id)
        machines.terminate(instance_id)
    for instance_id in ("i-1", "i-2"):
        await_state(machines, "terminated", instance_id)
    processes.wait_until(lambda: not list((tmp_path / "instances").iterdir()))
    with pytest.raises(RefusedError, match="i-1 is terminated"):
        machines.snapshot("i-1")


def test_a_snapshot_boots_after_every_build_folder_is_gone(
    machines: ProcessMachines, store: ContentStore, tmp_path: Path
) -> None:
    base = image_that_runs(store, tmp_path / "build", "#!/bin/sh\necho built by $(cat built)\nexec sleep 60\n")
    machines.launch(spec(base, "#!/bin/sh\necho user data > built\ntouch tmp/x run/x\nshutdown -h now\nsleep 9\n"))
    await_state(machines, "stopped")
    content_id = machines.snapshot("i-1")
    machines.terminate("i-1")
    await_state(machines, "terminated")
    shutil.rmtree(store.path(base))
    machines.launch(spec(content_id, instance_id="i-2"))
    await_state(machines, "running", "i-2")
    processes.wait_until(lambda: "built by user data" in machines.console("i-2"))
    assert "shutdown" not in machines.console("i-2"), "the builder's console log is not part of the image"
    assert [path.name for path in (tmp_path / "instances/i-2").glob("*/x")] == []


def test_a_running_machine_can_be_kept(machines: ProcessMachines, store: ContentStore) -> None:
    machines.launch(spec(store.base_content(), "#!/bin/sh\necho 1 > made\n"))
    with pytest.raises(RefusedError, match="booting"):
        machines.snapshot("i-1")
    await_state(machines, "running")
    assert (store.path(machines.snapshot("i-1")) / "made").read_text() == "1\n"


def test_the_console_log_has_a_cap(machines: ProcessMachines, store: ContentStore, tmp_path: Path) -> None:
    script = "#!/bin/sh\nseq 1 400000\necho the end\nexec sleep 60\n"
    machines.launch(spec(image_that_runs(store, tmp_path / "build", script)))
    processes.wait_until(lambda: machines.console("i-1").endswith("the end\n"))
    assert "older lines were dropped" in machines.console("i-1")
    assert (tmp_path / "instances/i-1/var/log/console.log").stat().st_size <= 1_100_000


def test_unknown_content_is_refused(machines: ProcessMachines) -> None:
    with pytest.raises(RefusedError, match="content-missing"):
        machines.launch(spec("content-missing"))
    assert machines.state("i-1") == "terminated"


def test_thirty_machines_boot_in_seconds_and_stay_small(
    machines: ProcessMachines, store: ContentStore, tmp_path: Path
) -> None:
    content_id = store.base_content()
    begun_at = time.monotonic()
    for number in range(30):
        machines.launch(spec(content_id, "#!/bin/sh\nmkdir made\n", instance_id=f"i-{number}"))
    for number in range(30):
        await_state(machines, "running", f"i-{number}", seconds=15)
    assert time.monotonic() - begun_at < 10
    wardens = [machine.process.pid for machine in machines._machines.values()]
    assert max(_resident_kb(pid) for pid in wardens) < 12_288
    before = sum(_cpu_ticks(pid) for pid in wardens)
    time.sleep(1)
    assert sum(_cpu_ticks(pid) for pid in wardens) - before <= 1, "idle wardens do nothing"


def _resident_kb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


OWNER = """
import sys, time
from pathlib import Path
from include.localcloud.images import ContentStore
from include.localcloud.machines import ProcessMachines
from include.localcloud.seams import MachineSpec
home = Path(sys.argv[1])
store = ContentStore(home / "images")
machines = ProcessMachines(store, home, "http://127.0.0.1:28329", lambda spec: 0)
data = b"#!/bin/sh\\nsetsid sh -c 'setsid sleep 61 & sleep 62' &\\n"
for number in range(3):
    machines.launch(MachineSpec(f"i-{number}", "1", "r", "z", "127.70.1.9", store.base_content(), data))
time.sleep(60)
"""


def test_kill_9_of_the_owner_leaves_no_process(tmp_path: Path) -> None:
    environment = {**os.environ, "REDSTART_STACK": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], env=environment)
    marker = f"REDSTART_STACK={tmp_path}"
    try:
        # The owner; and of each machine the warden, init and its idle sleep (one process), sh and two sleeps.
        processes.wait_until(lambda: len(processes.pids_with(marker)) == 1 + 3 * 5, what="three machines run")
    finally:
        owner.kill()
        owner.wait()
    processes.wait_until(lambda: not processes.pids_with(marker), seconds=3, what="no process is left")


def test_a_new_owner_clears_what_an_earlier_one_left(tmp_path: Path, store: ContentStore) -> None:
    left = tmp_path / "instances/i-0"
    left.mkdir(parents=True)
    orphan = subprocess.Popen(["sleep", "60"], env={"INSTANCE_ROOT": str(left)})
    machines = ProcessMachines(store, tmp_path, CLOUD, lambda spec: 0)
    try:
        assert orphan.wait(2) == -signal.SIGKILL
        assert not left.exists()
        with pytest.raises(RefusedError, match="another local cloud"):
            ProcessMachines(store, tmp_path, CLOUD, lambda spec: 0)
    finally:
        machines.close()
        orphan.kill()
    ProcessMachines(store, tmp_path, CLOUD, lambda spec: 0).close()
