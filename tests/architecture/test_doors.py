"""Who may import whom, read from the source: the doors of the house (docs/adr/0001-the-house.md)."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STDLIB = sys.stdlib_module_names
PURE = {"numpy", "pydantic", "include.errors"}
ROOMS: dict[str, set[str]] = {
    "apps": PURE | {"include.canary"},
    "canary": PURE | {"scipy", "numba"},
    "redblack": PURE | {"include.fleet", "include.ledger"},
    "ledger": PURE,
    "bake": PURE | {"include.fleet"},
    "fleet": PURE,
    "changes": PURE,
    "peaks": PURE | {"scipy"},
    "waves": PURE,
    "reports": PURE | {"jinja2", "markupsafe", "include.canary", "include.fleet", "include.peaks"},
    "loadgen": {"numpy", "uvloop", "include.errors"},
    "adapters": PURE | {
        "boto3", "botocore", "git", "jira", "requests", "httpx", "tenacity", "sqlalchemy", "alembic",
        "include.fleet", "include.canary", "include.bake", "include.redblack", "include.apps",
        "include.ledger", "include.changes", "include.peaks",
        "include.adapters.git_", "include.adapters.aws_", "include.adapters.ledger_", "include.adapters.metric_store",
        "include.adapters.prometheus_query",
    },
    "localcloud": PURE | {
        "moto", "werkzeug", "boto3", "botocore", "envoy", "cbor2", "responses",
        "include.fleet", "include.localcloud",
    },
    "services": PURE | {
        "pydantic_settings", "httpx", "boto3", "botocore", "uvloop", "werkzeug", "moto", "starlette", "uvicorn",
        "include.adapters", "include.localcloud", "include.loadgen", "include.canary", "include.reports",
        "include.fleet", "include.bake", "include.redblack", "include.ledger", "include.apps", "include.services",
        "include.peaks", "examples",
    },
}  # fmt: skip
PLUGIN = {"airflow", "pydantic", "include"}
PLUGIN_ROOMS: dict[str, set[str]] = {
    "hooks": PLUGIN | {"botocore", "boto3"},
    "operators": PLUGIN,
    "sensors": PLUGIN,
    "triggers": PLUGIN,
    "groups": PLUGIN,
    "ui": PLUGIN | {"fastapi", "jinja2", "starlette"},
    "cli": PLUGIN | {"typer", "rich", "httpx"},
}


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "base_image" not in path.parts)


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def allowed(name: str, doors: set[str], own: str) -> bool:
    if name.split(".")[0] in STDLIB or name == own or name.startswith(own + "."):
        return True
    return any(
        name == door or name.startswith(door + ".") or (door.endswith("_") and name.startswith(door)) for door in doors
    )


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_room_imports_only_through_its_doors(room: str) -> None:
    own = f"include.{room}" if room != "adapters" else "include.adapters.none"
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(ROOT / "include" / room)
        for name in imports(path)
        if not allowed(name, ROOMS[room], own)
    }
    assert not wrong


@pytest.mark.parametrize("room", sorted(PLUGIN_ROOMS))
def test_plugin_room_imports_only_through_its_doors(room: str) -> None:
    doors = PLUGIN_ROOMS[room] | {f"redstart.{other}" for other in PLUGIN_ROOMS}
    for path in modules(ROOT / "plugins" / "redstart" / room):
        for name in imports(path):
            assert allowed(name, doors, f"redstart.{room}"), f"{path.relative_to(ROOT)} imports {name}"
            if room != "hooks":
                assert not name.startswith("include.adapters"), f"{path.relative_to(ROOT)}: only hooks meet adapters"
            assert not name.startswith("include.localcloud"), f"{path.relative_to(ROOT)}: AWS is reached by its API"


def test_every_room_has_doors() -> None:
    rooms = {path.name for path in (ROOT / "include").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms <= set(ROOMS)


def test_pure_rooms_read_no_clock_environment_or_chance() -> None:
    forbidden = ("datetime.now(", "os.environ", "time.time(", "default_rng()")
    for room in ("canary", "redblack", "bake", "fleet", "ledger", "reports", "apps", "changes", "peaks", "waves"):
        for path in modules(ROOT / "include" / room):
            text = path.read_text()
            assert not [word for word in forbidden if word in text], path.relative_to(ROOT)


def test_nothing_slow_is_imported_when_a_dag_is_parsed() -> None:
    slow = {"numpy", "scipy", "git", "jira", "boto3", "botocore", "include.adapters", "include.canary.judge"}
    for room in ("operators", "sensors", "triggers", "groups"):
        for path in modules(ROOT / "plugins" / "redstart" / room):
            for name in imports(path, top_level_only=True):
                assert not any(name == word or name.startswith(word + ".") for word in slow), (path.name, name)


def test_dags_are_wiring_only() -> None:
    doors = {
        "airflow",
        "redstart.groups",
        "redstart.operators",
        "redstart.sensors",
        "redstart.triggers",
        "include.apps",
    }
    for path in modules(ROOT / "dags"):
        assert len(path.read_text().splitlines()) <= 120, path.name
        for name in imports(path):
            assert allowed(name, doors, "dags"), f"{path.name} imports {name}"


def test_only_services_and_tests_know_the_local_cloud() -> None:
    for folder in ("include", "plugins", "dags"):
        for path in modules(ROOT / folder):
            if {"localcloud", "services"} & set(path.parts):
                continue
            assert not [name for name in imports(path) if name.startswith("include.localcloud")], path


@pytest.mark.parametrize("folder", ["include", "plugins", "dags"])
def test_modules_stay_small(folder: str) -> None:
    for path in modules(ROOT / folder):
        assert len(path.read_text().splitlines()) <= 400, f"{path.relative_to(ROOT)} is over 400 lines"


def test_functions_stay_small() -> None:
    for folder in ("include", "plugins"):
        for path in modules(ROOT / folder):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or node.lineno) - node.lineno + 1
                    assert length <= 60, f"{path.relative_to(ROOT)}: {node.name} has {length} lines"


def test_no_file_carries_a_path_of_somebodys_machine() -> None:
    pattern = "/" + "work/"
    for path in [*modules(ROOT / "include"), *modules(ROOT / "plugins"), *modules(ROOT / "tests"), ROOT / "README.md"]:
        assert pattern not in path.read_text(), path.relative_to(ROOT)
