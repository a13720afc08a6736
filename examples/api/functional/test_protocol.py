"""How the service answers: statuses, headers, connections."""

from __future__ import annotations

from typing import Any

import pytest


def test_it_is_up(site: Any) -> None:
    answer = site.ask("/healthcheck")
    assert (answer.status, answer.document["status"]) == (200, "up")


def test_every_answer_says_what_it_is_and_who_made_it(site: Any) -> None:
    for path in ("/home", "/nope"):
        headers = site.ask(path).headers
        assert headers["content-type"] == "application/json"
        group, instance, version = headers["x-served-by"].split("/", 2)
        assert group and instance and version


@pytest.mark.parametrize("path", ["/nope", "/titles/42/nope", "/home/7"])
def test_there_is_no_such_page(site: Any, path: str) -> None:
    answer = site.ask(path)
    assert (answer.status, answer.document) == (404, {"error": "no such page"})


@pytest.mark.parametrize("path", ["/titles/5001", "/titles/0", "/genres/opera", "/profiles/nobody"])
def test_there_is_no_such_thing(site: Any, path: str) -> None:
    assert site.ask(path).status == 404


def test_other_methods_are_refused(site: Any) -> None:
    assert site.ask("/home", "DELETE").status == 405
    assert site.ask("/play/report", "POST").status == 200


def test_a_head_has_no_body(site: Any) -> None:
    answer = site.ask("/home", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 100


def test_a_connection_is_kept_for_the_next_request(site: Any) -> None:
    connection = site.connect()
    try:
        for path in ("/home", "/plans"):
            connection.request("GET", path)
            assert site.read(connection).status == 200
            assert connection.sock is not None, "it was closed"
    finally:
        connection.close()
