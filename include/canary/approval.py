"""What the gate refused, and a person's approval to go on nevertheless: both kept with the canary, both versioned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from include.canary.gate import GateDecision
from include.canary.verdict import Verdict
from include.errors import ConfigError, RefusedError

FORMAT = 1
LIFTED = "lifted"  # in a kept refusal: the gate has gone on since
SHORTEST, LONGEST = 10, 500
_ROUNDING = 0.005


@dataclass(frozen=True)
class Refusal:
    """A no of the gate that a person may overrule: whose it is (run and pair of images), and what was found.

    `criticals` are the critical metrics that deviate or have no answer; `dag_id`, `run_id` and `task_id` are
    Airflow's, to lead back to the task. `at` is tz-aware.
    """

    app: str
    run_key: str
    dag_id: str
    run_id: str
    task_id: str
    version: str
    image: str
    baseline_image: str
    score: float
    classification: str
    outcome: str
    unknown_weight: float
    criticals: tuple[str, ...]
    reasons: tuple[str, ...]
    report: str
    at: datetime

    @property
    def is_approvable(self) -> bool:
        """Something was judged: nobody can take upon them what nobody has seen."""
        return self.classification != "unknown"


@dataclass(frozen=True)
class Approval:
    """`user` (with the right, or role, that allowed it) takes what `of` says upon them, because of `reason`."""

    of: Refusal
    user: str
    right: str
    reason: str
    at: datetime

    @property
    def sentence(self) -> str:
        return (
            f"approved below the threshold by {self.user} ({self.right}) at {self.at:%Y-%m-%d %H:%M} UTC: {self.reason}"
        )


def check_reason(text: str) -> str:
    """The reason as one printable line. RefusedError when it is not of 10 to 500 characters."""
    reason = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if not SHORTEST <= len(reason) <= LONGEST:
        raise RefusedError(f"A reason has {SHORTEST} to {LONGEST} characters; this one has {len(reason)}.")
    return reason


def open_criticals(verdict: Verdict) -> tuple[str, ...]:
    """Critical metrics that deviate, or have no answer."""
    return tuple(sorted({metric.name for metric in (*verdict.failed_criticals, *verdict.unknown_criticals)}))


def why_not_covered(approval: Approval, refusal: Refusal) -> str:
    """Why an approval does not hold for what the gate refuses now, or "".

    It holds for its run and its pair of images, while the verdict is no worse than the one that was approved: no
    lower score, no more weight or critical metrics without a pass, and no evidence against it where there was none.
    """
    was = approval.of
    for what, then, now in (
        ("run", was.run_key, refusal.run_key),
        ("application", was.app, refusal.app),
        ("image", was.image, refusal.image),
        ("baseline", was.baseline_image, refusal.baseline_image),
    ):
        if then != now:
            return f"it is for {what} {then}, this is {now}"
    if refusal.score < was.score - _ROUNDING:
        return f"the score was {was.score:g} then and is {refusal.score:g} now"
    if refusal.unknown_weight > was.unknown_weight + _ROUNDING:
        return f"{was.unknown_weight:g} % of the weight had no answer then, {refusal.unknown_weight:g} % has none now"
    if was.outcome == "cannot tell yet" and refusal.outcome == "no-go":
        return "there was no evidence against it then, and there is now"
    news = sorted(set(refusal.criticals) - set(was.criticals))
    return f"critical {', '.join(news[:5])} had passed then" if news else ""


def approve(decision: GateDecision, approval: Approval) -> GateDecision:
    """The decision as a go that says who took it, and on what."""
    return GateDecision(True, (approval.sentence, *decision.reasons), "go")


def refusal_json(refusal: Refusal) -> dict[str, Any]:
    return {"format": FORMAT, **_plain(refusal)}


def refusal_from_json(body: Mapping[str, Any]) -> Refusal:
    """Raises ConfigError for a version that this one does not know."""
    return _refusal(_checked(body, "refusal"))


def approval_json(approval: Approval) -> dict[str, Any]:
    """Flat: what was approved, and by whom under `approved_by`, `right`, `reason` and `approved_at`."""
    own = {"approved_by": approval.user, "right": approval.right, "reason": approval.reason}
    return {"format": FORMAT, **_plain(approval.of), **own, "approved_at": approval.at.isoformat()}


def approval_from_json(body: Mapping[str, Any]) -> Approval:
    """Raises ConfigError for a version that this one does not know."""
    rest = _checked(body, "approval")
    user, right, reason, at = (rest.pop(key) for key in ("approved_by", "right", "reason", "approved_at"))
    return Approval(_refusal(rest), user, right, reason, datetime.fromisoformat(at))


def _plain(refusal: Refusal) -> dict[str, Any]:
    lists = {"criticals": list(refusal.criticals), "reasons": list(refusal.reasons)}
    return {**asdict(refusal), **lists, "at": refusal.at.isoformat()}


def _refusal(body: Mapping[str, Any]) -> Refusal:
    own = {"criticals": tuple(body["criticals"]), "reasons": tuple(body["reasons"])}
    return Refusal(**{**body, **own, "at": datetime.fromisoformat(body["at"])})


def _checked(body: Mapping[str, Any], source: str) -> dict[str, Any]:
    if body.get("format") != FORMAT:
        raise ConfigError("this version cannot read it", source=source, key="format", value=body.get("format"))
    return {key: value for key, value in body.items() if key not in {"format", LIFTED}}
