"""The catalogue: what is known of a title without asking anybody. Ids run from 1 to TITLES."""

from __future__ import annotations

TITLES = 5000
GENRES = ("action", "anime", "comedy", "crime", "docs", "drama", "family", "horror", "romance", "scifi", "thriller")
ADJECTIVES = ("Silent", "Crimson", "Last", "Hidden", "Broken", "Golden", "Distant", "Burning", "Paper", "Winter")
NOUNS = ("Harbour", "Signal", "Orchard", "Witness", "Machine", "River", "Letter", "Crown", "Passage", "Garden")
ADVISORIES = ("all", "7+", "12+", "16+", "18+")

Title = dict[str, object]


def find_title(title_id: int) -> Title | None:
    """Name, genre, year, minutes and score; some older titles were never given an advisory."""
    if not 1 <= title_id <= TITLES:
        return None
    title: Title = {
        "id": title_id,
        "name": f"The {ADJECTIVES[title_id % 10]} {NOUNS[title_id // 10 % 10]} {title_id // 100 or ''}".rstrip(),
        "genre": GENRES[title_id % len(GENRES)],
        "year": 1980 + title_id * 7 % 46,
        "minutes": 70 + title_id * 13 % 90,
        "score": (title_id * 7919 % 1000) / 1000,
    }
    if title_id % 10:
        title["advisory"] = ADVISORIES[title_id % len(ADVISORIES)]
    return title


def pick_titles(start: int, count: int) -> list[Title]:
    """`count` titles spread over the catalogue; the same for the same start."""
    found = (find_title((start + place * 613) % TITLES + 1) for place in range(count))
    return [title for title in found if title is not None]


def advisory_of(title: Title) -> object:
    """The age a title is advised from."""
    return title.get("advisory", "not rated")
