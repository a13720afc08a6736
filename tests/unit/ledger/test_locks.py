"""Who gets a cluster, who keeps it, and who has lost it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import RefusedError, RetryableError
from include.ledger import Claim, Hold, Holder, Lease, LeaseRunOutError, LockedError, LockLostError, Place, decide_claim
from include.ledger.locks import check_lease, renewed

PLACE = Place("api", "main", "us-east-1")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
TOKEN = int(NOW.timestamp()) + 1000
AUTOMATION = (Holder.PUSH, Holder.CANARY, Holder.JANITOR)


def claim_of(owner: str, holder: Holder = Holder.PUSH, *, seconds: float = 60, takes_over: bool = False) -> Claim:
    return Claim(owner, holder, f"{owner}'s person", f"{owner}'s reason", seconds, takes_over)


def lease_of(owner: str, holder: Holder = Holder.PUSH, *, token: int = TOKEN) -> Lease:
    return replace(decide_claim(None, PLACE, claim_of(owner, holder), NOW), token=token)


def test_a_free_place_is_the_claimers_with_a_token_never_given_out_before() -> None:
    lease = decide_claim(None, PLACE, claim_of("run"), NOW, last_token=TOKEN)

    assert lease == Lease(
        PLACE, "run", Holder.PUSH, "run's person", "run's reason", NOW, NOW + timedelta(seconds=60), TOKEN + 1
    )


@pytest.mark.parametrize("holder", list(Holder))
def test_a_lease_that_has_run_out_is_anybodys(holder: Holder) -> None:
    lease = decide_claim(lease_of("old", Holder.PERSON), PLACE, claim_of("new", holder), LATER, last_token=TOKEN)

    assert (lease.owner, lease.token, lease.since) == ("new", TOKEN + 1, LATER)


def test_a_ledger_that_has_forgotten_its_tokens_gives_greater_ones_than_before() -> None:
    before = decide_claim(None, PLACE, claim_of("run"), NOW, last_token=0)

    assert decide_claim(None, PLACE, claim_of("run"), LATER, last_token=0).token > before.token


def test_the_same_owner_keeps_its_token_and_gets_more_time() -> None:
    current = lease_of("run")

    again = decide_claim(current, PLACE, claim_of("run", seconds=90), NOW + timedelta(seconds=30), last_token=TOKEN)
    shorter = decide_claim(current, PLACE, claim_of("run", seconds=1), NOW, last_token=TOKEN)

    assert (again.token, again.since, again.until) == (TOKEN, NOW, NOW + timedelta(seconds=120))
    assert shorter.until == current.until, "a lease never gets shorter"


def test_the_same_run_may_go_on_as_a_rollback() -> None:
    lease = decide_claim(lease_of("run"), PLACE, claim_of("run", Holder.ROLLBACK), NOW)

    assert (lease.holder, lease.token) == (Holder.ROLLBACK, TOKEN)


def test_the_same_owner_whose_lease_ran_out_gets_a_new_token() -> None:
    assert decide_claim(lease_of("run"), PLACE, claim_of("run"), LATER).token == TOKEN + 1


@pytest.mark.parametrize(
    ("current", "claimer", "gets_it"),
    [
        *[(holder, Holder.ROLLBACK, True) for holder in AUTOMATION],
        (Holder.ROLLBACK, Holder.ROLLBACK, False),
        (Holder.PERSON, Holder.ROLLBACK, False),
        *[(holder, other, False) for holder in Holder for other in (*AUTOMATION, Holder.PERSON)],
    ],
)
def test_who_ends_whose_running_lease(current: Holder, claimer: Holder, gets_it: bool) -> None:
    lease = lease_of("theirs", current)
    if gets_it:
        assert decide_claim(lease, PLACE, claim_of("mine", claimer), NOW).token == TOKEN + 1
    else:
        with pytest.raises(LockedError) as refused:
            decide_claim(lease, PLACE, claim_of("mine", claimer), NOW)
        assert refused.value.lease is lease


@pytest.mark.parametrize("current", list(Holder))
@pytest.mark.parametrize("claimer", list(Holder))
def test_a_person_may_say_that_a_claim_takes_over(current: Holder, claimer: Holder) -> None:
    lease = decide_claim(lease_of("theirs", current), PLACE, claim_of("mine", claimer, takes_over=True), NOW)

    assert (lease.owner, lease.token) == ("mine", TOKEN + 1)


def test_the_refusal_says_who_why_and_until_when() -> None:
    with pytest.raises(RetryableError) as refused:
        decide_claim(lease_of("ann"), PLACE, claim_of("bob"), NOW)

    expected = "api-main in us-east-1 is ann's person's (push) until 23 Nov 12:01:00 UTC: ann's reason"
    assert str(refused.value) == expected


def test_a_renewed_lease_lasts_longer_and_never_shorter() -> None:
    lease = lease_of("run")

    assert renewed(lease, lease, NOW, 600).until == NOW + timedelta(seconds=600)
    assert renewed(lease, lease, NOW, 1).until == lease.until
    assert renewed(lease, lease, LATER, 60).until == LATER + timedelta(seconds=60), "nobody has claimed it since"


@pytest.mark.parametrize("current", [None, lease_of("other", token=TOKEN + 1), lease_of("run", token=TOKEN + 1)])
def test_a_lost_lease_is_neither_renewed_nor_good(current: Lease | None) -> None:
    lost = lease_of("run")

    with pytest.raises(LockLostError):
        renewed(current, lost, NOW, 60)
    with pytest.raises(RefusedError):
        check_lease(current, lost, NOW)


def test_a_lease_that_ran_out_is_no_good_until_it_is_renewed() -> None:
    lease = lease_of("run")

    check_lease(lease, lease, NOW)
    with pytest.raises(LeaseRunOutError):
        check_lease(lease, lease, lease.until)


def test_a_hold_is_in_force_until_its_end_or_for_ever() -> None:
    hold = Hold(PLACE, "ann", "a sale", NOW)

    assert hold.is_in_force(LATER)
    assert replace(hold, until=LATER).is_in_force(NOW)
    assert not replace(hold, until=LATER).is_in_force(LATER)


@st.composite
def deeds(draw: st.DrawFn) -> list[tuple[str, Claim, float]]:
    """(verb, claim, seconds that pass before it) of five parties."""
    claims = st.builds(
        claim_of, st.sampled_from("abcde"), st.sampled_from(Holder), seconds=st.floats(1, 100), takes_over=st.booleans()
    )
    verbs = st.sampled_from(["claim", "claim", "claim", "renew", "free"])
    return draw(st.lists(st.tuples(verbs, claims, st.floats(0, 60)), max_size=40))


@given(deeds())
def test_tokens_only_grow_and_never_two_owners_have_a_running_lease(story: list[tuple[str, Claim, float]]) -> None:
    """Everybody believes in the last lease they were given; the check tells all but one that it is over."""
    current: Lease | None = None
    last_token, now, believed = 0, NOW, dict[str, Lease]()
    for verb, claim, seconds in story:
        now += timedelta(seconds=seconds)
        if verb == "free":
            current = None
            continue
        try:
            if verb == "renew" and claim.owner in believed:
                current = renewed(current, believed[claim.owner], now, claim.seconds)
            else:
                before = last_token
                current = decide_claim(current, PLACE, claim, now, last_token=last_token)
                last_token = max(last_token, current.token)
                assert current.token >= before
            believed[claim.owner] = current
        except (LockedError, LockLostError):
            pass
        good = [owner for owner, lease in believed.items() if _is_good(current, lease, now)]
        assert len(good) <= 1
        assert not good or (current is not None and current.owner == good[0] and current.token == last_token)


def _is_good(current: Lease | None, lease: Lease, now: datetime) -> bool:
    try:
        check_lease(current, lease, now)
    except (LockLostError, LeaseRunOutError):
        return False
    return True
