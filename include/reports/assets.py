"""What every page carries inside itself: our styles and script, and the drawing library as its makers ship it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
VENDOR = TEMPLATES / "vendor"
UPLOT = "uplot-1.6.32"
_SCRIPTS = ("data", "words", "strips", "over_time", "distribution", "detail", "filters", "grid", "table", "start")


@cache
def environment() -> Environment:
    """Templates that escape all they are given; a name that is missing is an error."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def styles() -> Markup:
    """The page's style sheets, in order; read as they are, never as templates."""
    return _joined(VENDOR / f"{UPLOT}.min.css", TEMPLATES / "canary.css", TEMPLATES / "detail.css")


@cache
def library() -> Markup:
    """uPlot with its licence before it, as the licence asks of every copy."""
    licence = (VENDOR / "uplot-LICENSE.txt").read_text(encoding="utf-8")
    return Markup(f"/*! {UPLOT}\n{licence}\n*/\n") + _joined(VENDOR / f"{UPLOT}.min.js")


@cache
def script() -> Markup:
    """The page's own script: its parts share one scope, and none of it is global."""
    parts = _joined(*(TEMPLATES / "script" / f"{name}.js" for name in _SCRIPTS))
    return Markup('"use strict";\n(() => {\n') + parts + Markup("\n})();\n")


def _joined(*files: Path) -> Markup:
    return Markup("\n".join(file.read_text(encoding="utf-8").rstrip() for file in files))
