"""Whom load may be sent to, and what is asked for."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from include.errors import ConfigError, RefusedError
from include.loadgen import Mix, MixEntry, Plan, Target

MIX = Mix((MixEntry("/"),))


@pytest.mark.parametrize("host", ["10.0.0.1", "192.0.2.7", "localhost", "api.example.com", "0.0.0.0", "::"])
def test_load_is_not_sent_to_whoever_is_named(host: str) -> None:
    with pytest.raises(RefusedError, match="no loopback address"):
        Plan((Target(host, 80),), 1.0, MIX)


def test_loopback_and_allowed_hosts_get_load() -> None:
    targets = (Target("127.80.0.10", 80), Target("::1", 80), Target("api.example.com", 80))
    Plan(targets, 1.0, MIX, allowed_hosts=frozenset({"api.example.com"}))


@pytest.mark.parametrize("wrong", [{"rps": -1.0}, {"timeout_seconds": 0.0}, {"connections": 0}, {"targets": ()}])
def test_plans_that_cannot_be_carried_out_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RefusedError):
        Plan(**({"targets": (Target("127.0.0.1", 80),), "rps": 1.0, "mix": MIX} | wrong))


def test_requests_are_drawn_by_weight_with_every_word_filled() -> None:
    document = {
        "mix": {"/home": 3, "/titles/{title}/in/{lang}?q={lang}": 1},
        "parameters": {"title": {"from": 1, "to": 3}, "lang": ["en"]},
    }
    choose = Mix.from_document(document, source="test").chooser(Random(1))
    seen = Counter(choose()[1] for _ in range(4000))
    assert set(seen) == {"/home", *(f"/titles/{title}/in/en?q=en" for title in (1, 2, 3))}
    assert seen["/home"] == pytest.approx(3000, abs=120)


def test_the_same_seed_asks_the_same() -> None:
    mix = Mix((MixEntry("/{n}"), MixEntry("/x")), {"n": range(100)})
    first, second = mix.chooser(Random(7)), mix.chooser(Random(7))
    assert [first() for _ in range(50)] == [second() for _ in range(50)]


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"mix": {}},
        {"mix": {"home": 1}},
        {"mix": {"/a b": 1}},
        {"mix": {"/": "x"}},
        {"mix": {"/": -1}},
        {"mix": {"/{x}": 1}},
        {"mix": {"/{x}": 1}, "parameters": {"x": []}},
        {"mix": {"/a\r\nx: y": 1}},
    ],
)
def test_a_mix_that_cannot_be_asked_for_names_its_file(document: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Mix.from_document(document, source="mix.toml")
