"""The table of pages, and what a page is made of."""

from __future__ import annotations

import json
import tomllib
import unittest
from pathlib import Path
from random import Random

from api.endpoints import Endpoints, NotFound
from api.pages import build_rows, describe_title
from api.titles import TITLES, find_title, pick_titles

SETTINGS = Path(__file__).resolve().parents[1] / "opt" / "app" / "settings"


def quick(endpoints: Endpoints) -> Endpoints:
    """The same table, with backing services that need no time and never fail."""
    for dependency in endpoints.dependencies.values():
        dependency._median_seconds = dependency._error_rate = 0.0
    return endpoints


class Table(unittest.TestCase):
    def setUp(self) -> None:
        self.endpoints = Endpoints(SETTINGS, Random(1))

    def test_every_page_is_found_by_its_path(self) -> None:
        for endpoint in self.endpoints.all:
            filled = endpoint.path.replace(f"{{{endpoint.parameter}}}", "7")
            found, argument = self.endpoints.find(filled + "?from=test")
            self.assertIs(found, endpoint)
            self.assertEqual(argument, "7" if endpoint.parameter else "")

    def test_there_is_nothing_at_other_paths(self) -> None:
        for path in ("/", "/nope", "/titles/", "/titles/7/nope", "/home/7", "//", "/titles/7/play/8"):
            with self.assertRaises(NotFound, msg=path):
                self.endpoints.find(path)

    def test_every_backing_service_is_used(self) -> None:
        used = {one.name for endpoint in self.endpoints.all for layer in endpoint.layers for one in layer}
        self.assertEqual(used, set(self.endpoints.dependencies))

    def test_the_load_tests_mix_has_every_page(self) -> None:
        mix = tomllib.loads((SETTINGS.parents[2] / "traffic.toml").read_text("utf-8"))["mix"]
        self.assertEqual({path.partition("?")[0] for path in mix}, {endpoint.path for endpoint in self.endpoints.all})


class Pages(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.endpoints = quick(Endpoints(SETTINGS, Random(1)))

    async def page(self, path: str) -> dict[str, object]:
        return json.loads(await self.endpoints.answer(*self.endpoints.find(path)))

    async def test_the_home_page_has_its_rows(self) -> None:
        page = await self.page("/home")
        self.assertEqual((page["page"], len(page["rows"])), ("home", 40))
        self.assertNotIn("fallbacks", page)

    async def test_a_title_is_described(self) -> None:
        page = await self.page("/titles/42/play")
        self.assertEqual(page["title"]["id"], 42)
        self.assertEqual(page["title"]["length"], "1 h 16 min")

    async def test_unknown_things_are_not_found(self) -> None:
        for path in (f"/titles/{TITLES + 1}", "/titles/0", "/titles/x", "/genres/opera", "/profiles/x", "/people/-1"):
            with self.assertRaises(NotFound, msg=path):
                await self.page(path)

    async def test_a_page_without_a_backing_service_falls_back(self) -> None:
        artwork = self.endpoints.dependencies["artwork"]
        artwork._error_rate = 1.0
        page = await self.page("/home")
        self.assertEqual(page["fallbacks"], ["artwork"])
        self.assertEqual((artwork.tally.errors, artwork.tally.fallbacks), (1, 1))


class Content(unittest.TestCase):
    def test_titles_are_the_same_each_time(self) -> None:
        self.assertEqual(pick_titles(5, 20), pick_titles(5, 20))
        self.assertEqual(len({title["id"] for title in pick_titles(5, 40)}), 40)

    def test_rows_are_sorted_best_first(self) -> None:
        best, worst = (
            {"id": 1, "name": "A", "year": 2020, "score": 0.9},
            {"id": 2, "name": "B", "year": 1985, "score": 0.1},
        )
        self.assertEqual([row["id"] for row in build_rows([worst, best])], [1, 2])

    def test_a_description_says_the_advisory(self) -> None:
        self.assertEqual(describe_title(find_title(42))["advisory"], "12+")
