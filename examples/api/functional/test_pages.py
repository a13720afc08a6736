"""What is on the pages: every one of the table is there, and has what clients rely on."""

from __future__ import annotations

import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

TABLE = Path(__file__).resolve().parents[1] / "opt" / "app" / "settings" / "endpoints.toml"
ARGUMENTS = {"title": "42", "genre": "drama", "person": "7", "profile": "7", "collection": "7"}
HEAD = {"id": 42, "name": "The Last Machine", "length": "1 h 16 min", "genre": "scifi", "advisory": "12+"}
AT_ONCE = 8


def address_of(row: dict[str, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: ARGUMENTS[found[1]], row["path"])


def test_every_page_of_the_table_has_its_rows(site: Any) -> None:
    table = tomllib.loads(TABLE.read_text("utf-8"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pages = dict(zip(table, pool.map(lambda row: site.page(address_of(row)), table.values()), strict=True))
    assert {name: page["page"] for name, page in pages.items()} == {name: name for name in table}
    assert {name: len(page["rows"]) for name, page in pages.items()} == {n: row["items"] for n, row in table.items()}


@pytest.mark.parametrize("path", ["/home", "/browse", "/search?q=silent", "/top-ten"])
def test_a_row_says_which_title_it_is(site: Any, path: str) -> None:
    rows = site.page(path)["rows"]
    for row in rows:
        assert set(row) >= {"id", "label", "score"}, row
        assert 1 <= row["id"] <= 5000 and 0 <= row["score"] <= 1
        assert re.search(r"\(\d{4}\)$", row["label"]), row["label"]
    assert len({row["id"] for row in rows}) == len(rows)


@pytest.mark.parametrize("page", ["play", "summary", "episodes"])
def test_the_head_of_a_title_says_what_players_and_apps_show(site: Any, page: str) -> None:
    head = site.page(f"/titles/42/{page}")["title"]
    lacking = sorted(set(HEAD) - set(head))
    assert not lacking, f"the head of /titles/42/{page} lacks {', '.join(lacking)}"
    assert {name: head[name] for name in HEAD} == HEAD


def test_a_title_is_the_same_on_all_its_pages(site: Any) -> None:
    heads = [site.page(path)["title"] for path in ("/titles/77", "/titles/77/credits", "/titles/77")]
    assert heads[0] == heads[1] == heads[2]


def test_fallbacks_are_names_of_backing_services(site: Any) -> None:
    known = set(tomllib.loads((TABLE.parent / "dependencies.toml").read_text("utf-8")))
    assert set(site.page("/home").get("fallbacks", ())) <= known
