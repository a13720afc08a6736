"""`./redstart judge` and `serve-judge`: the judge for whoever speaks Kayenta's JSON.

The judge itself is imported by the commands: every other command starts without numpy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from include.errors import ConfigError, RedstartError

if TYPE_CHECKING:
    from include.services.judge_request import JudgedRequest

STDIN = "-"


class ProfileName(StrEnum):
    """Whose rules judge."""

    redstart = "redstart"
    kayenta = "kayenta"


ProfileOption = Annotated[ProfileName, typer.Option("--profile", help="Whose rules judge.")]


def caller_path(path: Path) -> Path:
    """`path` as whoever called means it: the launcher changes into the project's folder."""
    return Path(os.environ.get("REDSTART_CALLER", ".")) / path


def complain(error: RedstartError | str) -> None:
    """A sentence on stderr: stdout is for answers alone."""
    from include.services.judge_request import sentence_of

    words = sentence_of(error if isinstance(error, RedstartError) else RedstartError(error))
    sys.stderr.write(f"redstart: {words}\n")


def judge(
    file: Annotated[Path, typer.Argument(help="A request as Kayenta sends it to a remote judge; - for stdin.")],
    jsonl: Annotated[bool, typer.Option("--jsonl", help="A request a line; an answer a line.")] = False,
    profile: ProfileOption = ProfileName.redstart,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the report there (of line N of many: report-N.html).")
    ] = None,
    pretty: Annotated[bool, typer.Option("--pretty", help="Answer in indented lines.")] = False,
) -> None:
    """Judge a canary: Kayenta's remote judge request in, its judgeResult out; status 0 whatever the score."""
    if jsonl and pretty:
        raise typer.BadParameter("answers of --jsonl stand in one line each", param_hint="--pretty")
    try:
        with _opened(file) as stream:
            is_whole = _judge_lines(stream, str(file), profile, html) if jsonl else True
            if not jsonl:
                _judge_one(stream.read(), str(file), profile, html, pretty=pretty)
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error
    raise typer.Exit(0 if is_whole else 2)


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    if str(file) == STDIN:
        yield sys.stdin.buffer
        return
    try:
        stream = caller_path(file).open("rb")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(file)) from error
    with stream:
        yield stream


def _judge_one(text: bytes, source: str, profile: ProfileName, html: Path | None, *, pretty: bool) -> None:
    from include.services.judge_request import json_text, judge_request, read_body

    judged = judge_request(read_body(text, source=source), source=source, profile=profile.value)
    _write(json_text(judged.answer(), pretty=pretty))
    if html:
        _write_report(html, judged)


def _judge_lines(stream: IO[bytes], source: str, profile: ProfileName, html: Path | None) -> bool:
    """Every line is answered, a bad one by what is wrong with it; False if there was one. Empty lines are skipped."""
    from include.services.judge_request import complaint

    is_whole = True
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        place = f"{source} line {number}"
        report = html and html.with_name(f"{html.stem}-{number}{html.suffix}")
        try:
            _judge_one(line, place, profile, report, pretty=False)
        except _ReportError as error:
            is_whole = False
            complain(error)
        except RedstartError as error:
            is_whole = False
            complain(error)
            _write_error({**complaint(error), "line": number})
    return is_whole


class _ReportError(ConfigError):
    """The answer is out; its report could not be kept."""


def _write_report(place: Path, judged: JudgedRequest) -> None:
    from include.reports.canary import render_canary_report

    try:
        page = render_canary_report(judged.verdict, judged.pairs, judged.decision(), judged.context())
        caller_path(place).write_text(page, encoding="utf-8")
    except (OverflowError, UnicodeEncodeError) as error:  # a window that ends after the year 9999, half a letter
        raise _ReportError(f"cannot be drawn: {error}", source="--html", value=str(place)) from error
    except OSError as error:
        raise _ReportError(f"cannot be written: {error.strerror}", source="--html", value=str(place)) from error


def _write(text: str) -> None:
    """At once: whoever reads a pipe of many requests gets each answer when it is there."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _write_error(error: dict[str, Any]) -> None:
    from include.services.judge_request import json_text

    _write(json_text(error))


def serve_judge(
    listen: Annotated[str, typer.Option("--listen", help="ADDRESS:PORT, as in 127.0.0.1:8095.")],
    profile: ProfileOption = ProfileName.redstart,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="Ask for the bearer token that this file holds.")
    ] = None,
) -> None:
    """Answer POST /judge in the place of Kayenta's remote judge, until Ctrl-C or SIGTERM."""
    from include.services.judge_process import read_token, serve

    def say(address: str) -> None:
        sys.stdout.write(f"Judging at {address} by profile {profile.value}; Ctrl-C ends it.\n")
        sys.stdout.flush()

    try:
        token = read_token(caller_path(token_file)) if token_file else None
        serve(listen, profile.value, token, say)
    except RedstartError as error:
        complain(error)
        raise typer.Exit(2) from error
