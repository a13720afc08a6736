"""Reads `<app>.toml`; nothing is read at import."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from include.apps.flows import KINDS
from include.apps.model import App
from include.errors import ConfigError

FOLDER = Path(__file__).parent


def app_names(folder: Path | None = None) -> tuple[str, ...]:
    """Applications that have a file, sorted; fragments such as `api.judge.toml` are not applications."""
    return tuple(sorted(path.stem for path in (folder or FOLDER).glob("*.toml") if "." not in path.stem))


@cache
def load_app(name: str, folder: Path | None = None) -> App:
    """The application `name`. ConfigError names the file, the key and the value that cannot be used."""
    path = (folder or FOLDER) / f"{name}.toml"
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(app_names(folder)) or "none"
        raise ConfigError(f"no such application; known: {known}", source=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}", source=str(path)) from error
    try:
        app = App.model_validate(raw)
    except ValidationError as error:
        raise _first_problem(error, path) from error
    if app.name != name:
        raise ConfigError("must be the file's own name", source=str(path), key="name", value=app.name)
    return app


def read_fragment(name: str, folder: Path | None = None) -> tuple[str, str]:
    """Text and path of a file beside the applications' (`api.judge.toml`); ConfigError when it is not there."""
    path = (folder or FOLDER) / name
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except FileNotFoundError:
        raise ConfigError("no such file", source=str(path)) from None


def _first_problem(error: ValidationError, path: Path) -> ConfigError:
    problem = error.errors(include_url=False)[0]
    place = list(problem["loc"])
    if place[:1] == ["flows"] and len(place) > 2 and place[2] in KINDS:
        del place[2]  # which kind of flow was tried is nothing that the file says there
    key = ".".join(str(part) for part in place)
    value = None if problem["type"] == "missing" or isinstance(problem["input"], dict) else problem["input"]
    return ConfigError(problem["msg"], source=str(path), key=key, value=value)
