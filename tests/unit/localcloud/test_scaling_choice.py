"""Where a group launches and whom it ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from include.localcloud.scaling_choice import choose_victims, choose_zones


@dataclass(eq=False)
class Member:
    zone: str = "a"
    launched_at: float = 0.0
    is_serving: bool = True
    is_protected: bool = False


members = st.lists(
    st.builds(Member, st.sampled_from("abc"), st.floats(0, 100), st.booleans(), st.booleans()), max_size=20
)


@given(st.integers(0, 30))
def test_an_empty_group_is_spread_evenly(count: int) -> None:
    held = Counter(choose_zones("abc", [], count))
    assert held.total() == count
    assert max(held.values(), default=0) - min(held.get(zone, 0) for zone in "abc") <= 1


@given(members, st.integers(0, 30))
def test_victims_are_distinct_unprotected_and_as_many_as_can_be(present: list[Member], count: int) -> None:
    victims = choose_victims(present, count)
    free = [member for member in present if not member.is_protected]
    assert len({id(one) for one in victims}) == len(victims) == min(count, len(free))
    assert not any(one.is_protected for one in victims)
    spared = [one for one in free if one not in victims]
    assert not (any(one.is_serving for one in victims) and any(not one.is_serving for one in spared))


def test_the_fullest_zone_gives_its_oldest() -> None:
    old, young, alone = Member("a", 1), Member("a", 2), Member("b", 0)
    assert choose_victims([young, alone, old], 1) == [old]
    assert choose_victims([young, alone, old], 2) == [old, alone]
