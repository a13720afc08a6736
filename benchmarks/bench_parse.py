"""What DAG files cost whoever parses them, beyond Airflow's own import. About two minutes on two quiet cores.

    python benchmarks/bench_parse.py [--rounds 5]

Every figure is the median of fresh processes, in turn. Yardstick of the same run: importing airflow.sdk and the
DagBag, and then parsing a file with one empty task, which is Airflow's own work for any file. The goal is 0.3 s
for each file of dags/. CPU seconds stand beside the wall's: on a busy machine only they mean something.

Then the same files with 200 applications like `api`: built (the goal is 5 s for all of them), the full parse by
Airflow's DagBag with what it stores of each DAG, and one task's own process, which builds its own DAG alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from include.services.airflow_env import airflow_environment  # noqa: E402
from include.services.settings import Settings  # noqa: E402

GOAL_SECONDS = 0.3
UNWANTED = ("numpy", "scipy", "boto3", "git", "jira")
EMPTY = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("empty", schedule=None):
    EmptyOperator(task_id="nothing")
"""
CHILD = """
import json, sys, time
clock = lambda: (time.perf_counter(), time.process_time())
begin = clock()
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
imported, already = clock(), set(sys.modules)
bag = DagBag(sys.argv[1])
parsed = clock()
if bag.import_errors or not bag.dags:
    raise SystemExit(f"{sys.argv[1]}: {bag.import_errors or 'no DAG'}")
print(json.dumps({
    "import": [b - a for a, b in zip(begin, imported)],
    "parse": [b - a for a, b in zip(imported, parsed)],
    "before": sorted(set(sys.argv[2:]) & already),
    "loaded": sorted(set(sys.argv[2:]) & set(sys.modules) - already),
    "modules": len(set(sys.modules) - already),
}))
"""

MANY = """
import json, pathlib, runpy, sys, time
folder, dags, wanted = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
import include.apps.loader as loader
loader.FOLDER = folder
clock = time.process_time
figures = {}
for path in sorted(dags.glob("*.py")):
    begin = clock()
    runpy.run_path(str(path))
    figures[path.name] = clock() - begin
if not wanted:
    begin = clock()
    bag = DagBag(str(dags))
    figures["full parse"] = clock() - begin
    begin = clock()
    for dag in bag.dags.values():
        DagSerialization.to_dict(dag)
    figures["serialized"] = clock() - begin
    figures["dags"] = len(bag.dags)
print(json.dumps(figures))
"""
APPLICATIONS = 200
GOAL_MANY_SECONDS = 5.0


def copies(folder: Path, count: int) -> Path:
    """A folder with `count` applications like `api`."""
    folder.mkdir()
    text = (ROOT / "include" / "apps" / "api.toml").read_text()
    for number in range(count):
        name = f"app{number:03}"
        (folder / f"{name}.toml").write_text(text.replace('name = "api"', f'name = "{name}"', 1))
    return folder


def many(folder: Path, environment: dict[str, str], dag_id: str = "") -> dict[str, float]:
    """CPU seconds per DAG file with the folder's applications; `dag_id`: as the process of a task of that DAG."""
    context = {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id, "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "x"} if dag_id else {}
    command = [sys.executable, "-c", MANY, str(folder), str(ROOT / "dags"), *([dag_id] if dag_id else [])]
    done = subprocess.run(command, env={**environment, **context}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def tell_many(folder: Path, environment: dict[str, str]) -> None:
    """Figures of 200 applications; the same of one as the yardstick of this run."""
    one = many(copies(folder / "one", 1), environment)
    apps = copies(folder / "many", APPLICATIONS)
    found, own = many(apps, environment), many(apps, environment, "app000_prod")
    files = [name for name in found if name.endswith(".py")]
    built, single = (sum(figures[name] for name in files) for figures in (found, one))
    print(f"\n{APPLICATIONS} applications, {found['dags']:.0f} DAGs; CPU seconds, in one process each")
    print(f"{'yardstick: one application, its DAGs built':48} {single:8.3f}")
    print(f"{'all DAGs built':48} {built:8.3f}   (goal < {GOAL_MANY_SECONDS} s)")
    for name in files:
        print(f"    {name:44} {found[name]:8.3f}")
    print(f"{'the full parse, by the DagBag':48} {found['full parse']:8.3f}")
    print(f"{'what is stored of each DAG, made':48} {found['serialized']:8.3f}")
    print(f"{'the process of one task: all files':48} {sum(own[name] for name in files):8.3f}")
    print(f"{'the process of one task: its own file':48} {own['deliver.py']:8.3f}")


def parse(path: Path, environment: dict[str, str]) -> dict[str, Any]:
    """One fresh process: import, then parse. Times are (wall, CPU) seconds."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), *UNWANTED], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{path.name}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def middle(rounds: list[dict[str, Any]], stage: str) -> str:
    wall, cpu = (median(one[stage][place] for one in rounds) for place in (0, 1))
    return f"{wall:8.3f} {cpu:8.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="redstart-bench-parse-") as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY)
        environment = {**os.environ, **airflow_environment(Settings(home=Path(folder) / "home"))}
        files = [empty, *sorted((ROOT / "dags").glob("*.py"))]
        taken: dict[Path, list[dict[str, Any]]] = {path: [] for path in files}
        for _ in range(rounds):  # in turn: a busy moment must not fall on one file alone
            for path in files:
                taken[path].append(parse(path, environment))
    every = [one for rows in taken.values() for one in rows]
    print(f"median of {rounds} fresh processes, seconds             wall      CPU")
    print(f"{'yardstick: import airflow.sdk and the DagBag':48} {middle(every, 'import')}")
    print(f"{'yardstick: beyond it, a file with one empty task':48} {middle(taken.pop(empty), 'parse')}")
    for path, rows in taken.items():
        goal = f"goal < {GOAL_SECONDS} s beyond the import"
        print(f"{path.relative_to(ROOT)!s:48} {middle(rows, 'parse')}   ({goal})")
        loaded = ", ".join(rows[0]["loaded"]) or "none"
        print(f"    {rows[0]['modules']} modules more; of {', '.join(UNWANTED)}: {loaded} (goal: none)")
    if before := every[0]["before"]:
        print(f"Airflow's own import had loaded {', '.join(before)} before any file of ours.")
    with tempfile.TemporaryDirectory(prefix="redstart-bench-many-") as folder:
        environment = {**os.environ, **airflow_environment(Settings(home=Path(folder) / "home"))}
        tell_many(Path(folder), environment)


if __name__ == "__main__":
    main()
