"""Names, sizes and weights: the arithmetic of a push."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import ConfigError, RefusedError
from include.redblack import GroupName, SizeBounds, next_number, parse_name, red_size, shares_of, weights_for
from include.redblack.traffic import are_close

PART = st.text("abcdefgXYZ019._", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("api-v000", ("api", "", "", 0)),
        ("api-main-v042", ("api", "main", "", 42)),
        ("api-main-canary-v012", ("api", "main", "canary", 12)),
        ("api--canary-v012", ("api", "", "canary", 12)),
        ("api-main-c0us-w0red-v999", ("api", "main", "c0us-w0red", 999)),
    ],
)
def test_friggas_names_are_read_and_written(name: str, parts: tuple[str, str, str, int]) -> None:
    assert parse_name(name) == GroupName(*parts)
    assert str(GroupName(*parts)) == name


@pytest.mark.parametrize("name", ["", "api", "api-main", "api-main-v1", "-v001", "api-main-v001-v002", "a b-v001"])
def test_other_names_are_none(name: str) -> None:
    assert parse_name(name) is None


@given(PART, PART, st.one_of(st.just(""), PART), st.integers(0, 999))
def test_a_name_survives_the_round_trip(app: str, stack: str, detail: str, number: int) -> None:
    name = GroupName(app, stack, detail, number)
    assert parse_name(str(name)) == name


@given(st.one_of(st.none(), st.integers(0, 999)), st.sets(st.integers(0, 999), max_size=999))
def test_the_next_number_is_free(latest: int | None, taken: set[int]) -> None:
    assert next_number(latest, taken) not in taken


def test_the_number_after_999_is_the_first_free_from_000() -> None:
    assert next_number(None, []) == 0
    assert next_number(41, [41]) == 42
    assert next_number(999, [999]) == 0
    assert next_number(999, [999, 0, 1]) == 2
    with pytest.raises(RefusedError):
        next_number(3, range(1000))


@pytest.mark.parametrize(
    ("live", "size"), [(0, 2), (1, 2), (3, 4), (10, 11), (11, 13), (20, 22), (38, 40), (40, 40), (41, None)]
)
def test_red_is_the_live_count_and_ten_percent_rounded_up(live: int, size: int | None) -> None:
    assert red_size(live, SizeBounds(2, 40), 10) == size


@given(st.integers(0, 500), st.integers(1, 50), st.integers(0, 400), st.integers(0, 100))
def test_red_is_never_smaller_than_what_serves(live: int, minimum: int, more: int, headroom_pct: int) -> None:
    size = red_size(live, SizeBounds(minimum, minimum + more), headroom_pct)
    assert size is None or max(live, minimum) <= size <= minimum + more


def test_bounds_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError):
        SizeBounds(3, 2)


@given(st.dictionaries(st.sampled_from("abcde"), st.floats(0.02, 1.0), min_size=1, max_size=5))
def test_weights_give_the_shares_to_half_a_point(shares: dict[str, float]) -> None:
    weights = weights_for(shares)
    assert all(1 <= weight <= 999 for weight in weights.values())
    whole, given_shares = sum(shares.values()), shares_of(weights)
    assert all(abs(given_shares[name] - share / whole) <= 0.005 for name, share in shares.items())


def test_weights_stay_readable() -> None:
    assert weights_for({"a": 1}) == {"a": 100}
    assert weights_for({"a": 0.7, "b": 0.15, "c": 0.15}) == {"a": 70, "b": 15, "c": 15}
    assert weights_for({"a": 0.0, "b": 0.0}) == {"a": 0, "b": 0}


def test_weights_are_alike_by_the_traffic_they_give() -> None:
    assert are_close({"a": 1, "b": 1}, {"a": 50, "b": 50, "c": 0})
    assert not are_close({"a": 1, "b": 1}, {"a": 100})
