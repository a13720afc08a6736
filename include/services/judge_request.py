"""One request to the judge in Kayenta's form, from JSON text to its answer: what `judge` and `serve-judge` share."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.canary.config import JudgeConfig, Profile
from include.canary.gate import GateDecision, decide
from include.canary.judge import judge
from include.canary.kayenta.exchange import judge_result, read_request
from include.canary.series import MetricPairs
from include.canary.verdict import Thresholds, Verdict
from include.errors import ConfigError, RedstartError

_SENTENCE = 600  # letters: a wrong value can be as long as the body that it stands in
_VALUE = 200
_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = _VALUE


@dataclass(frozen=True)
class JudgedRequest:
    """What was asked and what was found."""

    body: Mapping[str, Any]
    config: JudgeConfig
    thresholds: Thresholds
    pairs: MetricPairs
    verdict: Verdict

    def answer(self) -> dict[str, Any]:
        """Kayenta's judgeResult, our own fields under "redstart"; plain JSON values, no NaN."""
        return judge_result(self.config, self.pairs, self.verdict)

    def decision(self) -> GateDecision:
        return decide(self.verdict, self.thresholds.go)

    def context(self) -> dict[str, str]:
        """What the configuration says of itself, for the report: data, never markup."""
        about = self.body.get("canaryConfig")
        about = about if isinstance(about, Mapping) else {}
        names = about.get("applications")
        applications = ", ".join(str(name) for name in names) if isinstance(names, list) else ""
        return {"application": applications, "configuration": str(about.get("name") or "")}


def read_body(text: bytes, *, source: str) -> Mapping[str, Any]:
    """The JSON object that `text` holds; the tokens NaN and Infinity are read as numbers.

    Raises ConfigError that says where the text stops being JSON, or what it is instead of an object.
    """
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        around = error.doc[max(error.pos - 20, 0) : error.pos + 20]
        raise ConfigError(f"not JSON: {error.msg}", source=source, key=place, value=around) from error
    except UnicodeDecodeError as error:
        reason = f"not text: {error.reason}"
        raise ConfigError(
            reason, source=source, key=f"byte {error.start}", value=text[error.start : error.end]
        ) from error
    except ValueError as error:  # a whole number of thousands of digits
        raise ConfigError(f"cannot be read: {error}", source=source) from error
    except RecursionError as error:
        raise ConfigError("nested too deep to be a request", source=source) from error
    if not isinstance(body, dict):
        raise ConfigError("must be an object", source=source, value=_shortened.repr(body))
    return body


def read_safely(
    body: Mapping[str, Any], *, source: str, profile: Profile
) -> tuple[JudgeConfig, Thresholds, MetricPairs]:
    """What `read_request` reads. A body may hold anything: what nobody thought of is a fault of the body as well."""
    try:
        return read_request(body, source=source, profile=profile)
    except (ArithmeticError, LookupError, TypeError, ValueError, OSError) as error:
        reason = f"holds what cannot be used ({type(error).__name__}: {error})"
        raise ConfigError(reason, source=source) from error


def judge_request(body: Mapping[str, Any], *, source: str, profile: Profile) -> JudgedRequest:
    """Judge what `body` asks for. Raises ConfigError with the place and the value of what cannot be used."""
    config, thresholds, pairs = read_safely(body, source=source, profile=profile)
    return JudgedRequest(body, config, thresholds, pairs, judge(config, thresholds, pairs))


def printable(text: str) -> str:
    """`text` with nothing in it that a terminal would obey."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def sentence_of(error: RedstartError) -> str:
    """The error for people: of bearable length, printable."""
    text = str(error)
    if len(text) > _SENTENCE:
        text = f"{text[: _SENTENCE - 60]} ... {text[-50:]}"
    return printable(text)


def complaint(error: RedstartError) -> dict[str, Any]:
    """The error as JSON values: `error` in words, the `place` it stands at and the `value` found there.

    `message` repeats the words under the name by which Spinnaker shows them.
    """
    words = sentence_of(error)
    place = error.key if isinstance(error, ConfigError) else ""
    value = error.value if isinstance(error, ConfigError) else None
    return {"error": words, "message": words, "place": place, "value": _plain(value)}


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str) and len(value) <= _VALUE:
        return value
    return _shortened.repr(value)


def json_text(value: Any, *, pretty: bool = False) -> str:
    """Strict JSON, in one line unless `pretty`. ValueError for a NaN or an infinity: an answer must not hold any."""
    if pretty:
        return json.dumps(value, indent=2, allow_nan=False)
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
