"""Whose turn it is among the regions of a run: the run's waves, and how its pushes stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from include.apps import Environment
from include.errors import RefusedError
from include.ledger import Ledger, Place
from include.waves import RegionState, Standings, Verdict, Waves, plan_waves
from include.waves import Turn as WaveTurn
from redstart.operators import clock
from redstart.operators.halting import note_halt
from redstart.operators.push_tasks import PushTasks
from redstart.operators.standing import read_standings
from redstart.operators.station import key_of_run, sibling
from redstart.triggers.cluster_turn import ClusterTurnTrigger, Turn, what_locks

if TYPE_CHECKING:
    from airflow.sdk import Context

    from redstart.operators.cluster import ClusterOperator
    from redstart.operators.drive import Account

ORDER_REGIONS = "order_regions"
SCHEMA = 2
LOOK_AGAIN = timedelta(minutes=10)
GRACE = timedelta(minutes=30)
UNENDED = {
    RegionState.NOT_BEGUN: "its push was not begun",
    RegionState.UNDER_WAY: "its tasks have ended before its push did",
}


def plan_of(
    site: Environment, regions: Sequence[str], levels: Mapping[str, float | None], *, takes_back: bool = False
) -> Waves:
    """The waves of an environment's `regions`, as its settings want them."""
    waves, by_traffic = site.waves, site.waves.order == "least_traffic" and site.windows is not None
    return plan_waves(
        regions, levels=levels, by_traffic=by_traffic, first=waves.first, at_once=waves.at_once, takes_back=takes_back
    )


def waves_of(operator: ClusterOperator, context: Context) -> Waves:
    """The waves of the run's push: in production those that order_regions planned, elsewhere those of the settings."""
    if operator.environment != "prod":
        return plan_of(operator.site, operator.site.region_names, {})
    waves = planned_waves(context)
    if waves is None:
        raise RefusedError("order_regions left no order of the regions: clear it, and what follows.")
    return waves


def planned_waves(context: Context) -> Waves | None:
    """What order_regions has planned; None where it has not. RefusedError where this version cannot read it."""
    value = context["ti"].xcom_pull(task_ids=ORDER_REGIONS)
    return waves_of_data(value) if value else None


def waves_of_data(value: Any) -> Waves:
    """From the XCom, or the ledger's data. A plain list of names, as runs had it once, means one after the other."""
    if isinstance(value, list | tuple):
        return Waves(tuple((str(region),) for region in value))
    if not isinstance(value, Mapping) or value.get("schema") != SCHEMA:
        raise RefusedError(f"order_regions left no order that this version can read (found {value!r}): clear it.")
    waves = tuple(tuple(str(region) for region in wave) for wave in value["waves"])
    return Waves(waves, bool(value.get("takes_back")), str(value.get("why") or ""))


def waves_data(waves: Waves) -> dict[str, Any]:
    """As the XCom and the ledger have them."""
    named = [list(wave) for wave in waves.waves]
    return {"schema": SCHEMA, "waves": named, "takes_back": waves.takes_back, "why": waves.why}


@dataclass(frozen=True)
class Among:
    """A region among the others of its run: what a wait of it hangs on, and whether its wave's turn has come."""

    turn: Turn
    waves: Waves
    standings: Standings
    tasks: PushTasks
    word: WaveTurn

    @property
    def region(self) -> str:
        return self.turn.region

    @property
    def is_left_alone(self) -> bool:
        """Whether the region is not to be pushed: what is done again in the run is another's."""
        return self.region in self.tasks.known - self.tasks.begun_again

    @property
    def earlier(self) -> tuple[str, ...]:
        """The regions of the waves before its own."""
        return tuple(one for wave in self.waves.before(self.region) for one in wave)


def look_among(operator: ClusterOperator, context: Context, ledger: Ledger) -> Among:
    """Who comes before the operator's region, and how they stand. AirflowSkipException where it is not in the run."""
    waves, region, place = waves_of(operator, context), operator.region, operator.place
    if region not in waves.regions:
        raise AirflowSkipException(f"{region} is not among the regions of this run.")
    run = key_of_run(context)
    # In this order: where the tasks have ended, the ledger has the last word of them.
    tasks = PushTasks.of(context, sibling(context, ""), operator.site.region_names)
    told = read_standings(ledger, place.app, place.stack, run)
    again = {one: told.of(one).attempt for one in told.by_region if one in tasks.begun_again}
    turn = Turn(place.app, place.stack, region, run, waves.waves, again)
    standings = told.forgiving(again)
    among = Among(turn, waves, standings, tasks, turn.among(standings))
    return _unless_nobody_pushes(among) if among.word.verdict is Verdict.WAIT else among


def _unless_nobody_pushes(among: Among) -> Among:
    """The same; but nobody is waited for whose tasks have ended without a push, or in the middle of it."""
    for one in among.earlier:
        why = UNENDED.get(among.standings.of(one).state)
        if why and one in among.tasks.ended:
            word = WaveTurn(Verdict.HALT, f"{one} comes before {among.region} and {why}", one)
            return replace(among, word=word)
    return among


def among_others(operator: ClusterOperator, context: Context, ledger: Ledger) -> Among:
    """As `look_among`; RefusedError where the run goes no further in the region. That it was halted is noted."""
    among = look_among(operator, context, ledger)
    if among.word.verdict is Verdict.HALT:
        note_halt(operator, context, ledger, among.waves, among.standings)
        raise RefusedError(_halt_words(among))
    return among


def _halt_words(among: Among) -> str:
    """What stopped the region, and what on-call can do."""
    stopped_by, why = among.word.region, among.word.why
    word = f"T{why[1:]}" if why.startswith("the ") else why
    if among.standings.of(stopped_by).state is RegionState.FAILED:
        word = f"{word}: {among.standings.of(stopped_by).why or 'see its tasks'}"
    return f"{word}. {among.region} is left as it is; clear {stopped_by} first, then this."


def word_of(among: Among, ledger: Ledger) -> str:
    """Why the region waits, in a sentence: for a hold, somebody's lock, a wave before its own; "" where it does not."""
    if locked := what_locks(ledger, among.turn, clock.now()):
        return locked
    return f"{among.word.why}." if among.word.verdict is Verdict.WAIT else ""


def turn_word(operator: ClusterOperator, context: Context, ledger: Ledger) -> str:
    """As `word_of`, of now. RefusedError where the run goes no further; AirflowSkipException where the region is not in
    the run."""
    return word_of(among_others(operator, context, ledger), ledger)


def await_turn(operator: ClusterOperator, context: Context, account: Account, *, method_name: str) -> Among:
    """Come back only when it is the turn of the operator's region; else the task is deferred until then, and comes back
    to `method_name`. Raises as `turn_word`."""
    ledger = operator.ledger
    among = among_others(operator, context, ledger)
    if hindrance := word_of(among, ledger):
        defer_for_turn(operator, account, among.turn, hindrance, method_name=method_name)
    return among


def defer_for_turn(
    operator: ClusterOperator, account: Account, turn: Turn, hindrance: str, *, method_name: str
) -> None:
    """Wait without a worker until it is the turn, as far as the ledger knows; never comes back."""
    account.note(f"waiting: {hindrance}")
    trigger = ClusterTurnTrigger.of(turn, clock.now() + LOOK_AGAIN)
    operator.defer(trigger=trigger, method_name=method_name, timeout=LOOK_AGAIN + GRACE)


def state_in(ledger: Ledger, place: Place, run: str) -> RegionState:
    """How the run's push of a place stands."""
    return read_standings(ledger, place.app, place.stack, run).of(place.region).state
