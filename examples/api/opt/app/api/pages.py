"""A page as JSON, made of the catalogue and of which backing services answered."""

from __future__ import annotations

import json
from collections.abc import Sequence

from api.titles import Title, advisory_of, pick_titles

SCORE_WEIGHT = 0.7
YEAR_WEIGHT = 0.3
OLDEST_YEAR = 1980
YEARS = 50
LABEL_LENGTH = 40

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def build_page(name: str, start: int, items: int, title: Title | None, missing: Sequence[str]) -> dict[str, object]:
    """The page's content; `missing` names the backing services whose part is a fallback."""
    page: dict[str, object] = {"page": name, "rows": build_rows(pick_titles(start, items))}
    if title is not None:
        page["title"] = describe_title(title)
    if missing:
        page["fallbacks"] = sorted(missing)
    return page


def build_rows(titles: list[Title]) -> list[dict[str, object]]:
    """Titles in the order in which they are shown, best first."""
    ranked = sorted(titles, key=rank_of, reverse=True)
    return [{"id": title["id"], "label": label_of(title), "score": title["score"]} for title in ranked]


def rank_of(title: Title) -> float:
    """How far up a title is shown: mostly what its audience thinks of it, and a little how new it is."""
    return SCORE_WEIGHT * float(str(title["score"])) + YEAR_WEIGHT * (int(str(title["year"])) - OLDEST_YEAR) / YEARS


def label_of(title: Title) -> str:
    return f"{title['name']} ({title['year']})"[:LABEL_LENGTH]


def describe_title(title: Title) -> dict[str, object]:
    """What the page of a single title says at its head."""
    return {
        "id": title["id"],
        "name": title["name"],
        "length": f"{int(str(title['minutes'])) // 60} h {int(str(title['minutes'])) % 60} min",
        "genre": title["genre"],
        "advisory": advisory_of(title),
    }


def render_page(page: dict[str, object]) -> bytes:
    return _encode(page).encode()
