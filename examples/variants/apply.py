"""What the demo commits: edits a work tree of `api` as a developer would, and says the commit's message.

    python3 examples/variants/apply.py WORKTREE NAME NUMBER

`good` is a harmless change, another one for each NUMBER; slow, errors, leak and heat get past all tests and show only
under traffic, which is what canaries are for; contract gets past the unit tests and fails the functional ones. A bad
edit that is still in the tree is taken back first. Every commit adds a line to a file of its own below changes/, so no
two trees are the same, and branches that both grow do not conflict over it. Standard library only.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

APP = "opt/app/api"
SETTINGS = "opt/app/settings"


@dataclass(frozen=True)
class Bad:
    """`edits` are (file, old text, new text); each old text is in the file exactly once."""

    edits: tuple[tuple[str, str, str], ...]
    subject: str
    body: str


@dataclass(frozen=True)
class Good:
    """The group of `pattern` goes to the choice after the one it has now."""

    file: str
    pattern: str
    choices: tuple[str, ...]
    subject: str
    body: str


BAD = {
    "slow": Bad(
        (
            (
                f"{APP}/endpoints.py",
                'PLACEHOLDER = "{}"\n',
                'PLACEHOLDER = "{}"\nCALLS_AT_ONCE = 2\n',
            ),
            (
                f"{APP}/endpoints.py",
                "        under_way = [dependency.fetch(items) for dependency in layer]\n"
                "        answers = [await one for one in under_way]\n",
                "        answers: list[bool] = []\n"
                "        for place in range(0, len(layer), CALLS_AT_ONCE):\n"
                "            some = layer[place : place + CALLS_AT_ONCE]\n"
                "            under_way = [dependency.fetch(items) for dependency in some]\n"
                "            answers += [await one for one in under_way]\n",
            ),
        ),
        "Ask two backing services at a time",
        "A page with many rows used to open all its calls in the same moment, and the\n"
        "backing services saw them as bursts. Two at a time keeps them even.",
    ),
    "errors": Bad(
        (
            (
                f"{APP}/titles.py",
                '    return title.get("advisory", "not rated")\n',
                '    return title["advisory"]\n',
            ),
        ),
        "Drop the stand-in for missing advisories",
        "The catalogue's team has given every title an advisory, so the stand-in is\nnot needed any more.",
    ),
    "leak": Bad(
        (
            (
                f"{APP}/endpoints.py",
                'PLACEHOLDER = "{}"\n',
                'PLACEHOLDER = "{}"\nRECENT_PAGES = 9000\nRECORD_BYTES = 32_000\n',
            ),
            (
                f"{APP}/endpoints.py",
                "from collections.abc import Mapping, Sequence\n",
                "from collections import deque\nfrom collections.abc import Mapping, Sequence\n",
            ),
            (
                f"{APP}/endpoints.py",
                "        self._numbers = count(chance.randrange(10_000))\n",
                "        self._numbers = count(chance.randrange(10_000))\n"
                "        self._recent: deque[tuple[str, bytes]] = deque(maxlen=RECENT_PAGES)\n",
            ),
            (
                f"{APP}/endpoints.py",
                "        return render_page(build_page(endpoint.name, start, endpoint.items, title, missing))\n",
                "        body = render_page(build_page(endpoint.name, start, endpoint.items, title, missing))\n"
                "        self._recent.append((endpoint.name, body.ljust(RECORD_BYTES)))\n"
                "        return body\n",
            ),
        ),
        "Keep recent pages for support's replay",
        "Support can look at the last pages as they were sent. Records have a fixed\n"
        "size, so that a dump of them can be searched without parsing.",
    ),
    "heat": Bad(
        (
            (
                f"{SETTINGS}/dependencies.toml",
                "batch_size = 50\ncrowding = 0.4\n",
                "batch_size = 5\ncrowding = 0.4\n",
            ),
        ),
        "Ask ratings in smaller batches",
        "Small batches hit the cache of ratings more often than large ones, since\n"
        "more pages have the same five titles.",
    ),
    "contract": Bad(
        (
            (
                f"{APP}/pages.py",
                '% 60} min",\n        "genre": title["genre"],\n        "advisory"',
                '% 60} min",\n        "advisory"',
            ),
        ),
        "Say the genre on genre pages alone",
        "The rows of a genre's own pages are all of it, and the head of a title has\nbecome long.",
    ),
}

GOOD = (
    Good(
        f"{APP}/pages.py", r"LABEL_LENGTH = (\d+)", ("40", "48", "44"), "Allow longer labels", "Wide screens have room."
    ),
    Good(
        f"{APP}/connection.py",
        r"application/json(|\\r\\ncache-control: private)\\r\\n",
        ("", "\\r\\ncache-control: private"),
        "Say how answers may be cached",
        "Pages are personal: shared caches must not keep them.",
    ),
    Good(
        f"{APP}/titles.py", r'"(Paper|Velvet|Marble)"', ("Paper", "Velvet", "Marble"), "Rename a series", "As licensed."
    ),
    Good(
        f"{APP}/server.py", r"QUEUE_LIMIT = (\d+)", ("512", "640", "576"), "Change the queue's limit", "From the drill."
    ),
    Good(
        f"{APP}/pages.py", r"^YEARS = (\d+)", ("50", "52", "54"), "Rank new titles as editors do", "They asked for it."
    ),
    Good(
        f"{SETTINGS}/dependencies.toml",
        r"\[reviews\]\nmedian_ms = 11.0\nsigma = 0.5\nerror_pct = 0.12\ntimeout_ms = (\d+)",
        ("220", "240", "230"),
        "Change the patience with reviews",
        "As agreed with their team.",
    ),
    Good(
        f"{APP}/connection.py",
        r"IDLE_SECONDS = (\d+)",
        ("130", "150", "140"),
        "Keep idle connections longer",
        "Routers do.",
    ),
    Good(
        f"{APP}/server.py",
        r'"status":"up"(|,"service":"api")',
        ("", ',"service":"api"'),
        "Name the service in the health check",
        "For whoever reads the router's log.",
    ),
    Good(
        f"{APP}/titles.py",
        r"title_id \* 7 % (\d+)",
        ("46", "47"),
        "Correct the years of titles",
        "The newest was missing.",
    ),
    Good(
        f"{APP}/agent.py",
        r"RENEW_BEFORE_SECONDS = (\d+)",
        ("300", "240", "270"),
        "Renew credentials later",
        "Fewer calls.",
    ),
    Good(
        "README.md",
        r"(a mix for load tests|the mix of load tests)\.",
        ("a mix for load tests", "the mix of load tests"),
        "Say what traffic.toml is",
        "Somebody asked.",
    ),
    Good(
        f"{APP}/service.py",
        r"QUIET_SECONDS = ([\d.]+)",
        ("0.5", "0.4", "0.6"),
        "Change how long quiet is",
        "After a drill.",
    ),
)


def apply_variant(worktree: Path, name: str, number: int) -> str:
    """Edit the files below `worktree`; the commit message. ValueError for an unknown name or a text not found."""
    if name != "good" and name not in BAD:
        raise ValueError(f"no variant {name!r}; there are good, {', '.join(BAD)}")
    taken_back = [bad.subject for bad in BAD.values() if _take_back(worktree, bad)]
    change = GOOD[(number - 1) % len(GOOD)] if name == "good" else BAD[name]
    if isinstance(change, Good):
        _turn(worktree / change.file, change)
    else:
        for file, old, new in change.edits:
            _replace(worktree / file, old, new)
    key = f"API-{100 + number}"
    _note(worktree / "changes" / f"{key}.md", f"- {key} {change.subject}\n")
    body = [change.body, *(f'Takes back "{subject}".' for subject in taken_back if subject != change.subject)]
    return "\n\n".join([f"{key} {change.subject}", *body]) + "\n"


def _take_back(worktree: Path, bad: Bad) -> bool:
    """Undo the edits of `bad` if they are in the tree."""
    if not all(new in (worktree / file).read_text("utf-8") for file, _, new in bad.edits):
        return False
    for file, old, new in reversed(bad.edits):
        _replace(worktree / file, new, old)
    return True


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    if text.count(old) != 1:
        raise ValueError(f"{path}: expected once, found {text.count(old)} times: {old!r}")
    path.write_text(text.replace(old, new), "utf-8")


def _turn(path: Path, change: Good) -> None:
    text = path.read_text("utf-8")
    found = list(re.finditer(change.pattern, text, re.MULTILINE))
    if len(found) != 1 or found[0][1] not in change.choices:
        raise ValueError(f"{path}: expected once with one of {change.choices}: {change.pattern}")
    following = change.choices[(change.choices.index(found[0][1]) + 1) % len(change.choices)]
    start, end = found[0].span(1)
    path.write_text(text[:start] + following + text[end:], "utf-8")


def _note(path: Path, line: str) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line)


def main(arguments: list[str]) -> int:
    if len(arguments) != 3 or not arguments[2].isdecimal():
        print("usage: apply.py WORKTREE NAME NUMBER", file=sys.stderr)
        return 2
    try:
        print(apply_variant(Path(arguments[0]), arguments[1], int(arguments[2])), end="")
    except (ValueError, OSError) as error:
        print(f"apply.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
