"""Pictures for docs/judge.md from the figures of bench_judge.py.

python benchmarks/bench_judge.py --json figures.json && python benchmarks/plot_judge.py figures.json docs/images
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

RHOS, POINTS = (0.0, 0.5, 0.7, 0.9), (50, 180, 480)
OURS, THEIRS, LIMIT = "#1b4f9c", "#8a8f98", "#b3202a"


def main(figures: Path, folder: Path) -> None:
    found = json.loads(figures.read_text())
    plt.rcParams.update(
        {"font.size": 10, "svg.hashsalt": "redstart", "axes.spines.top": False, "axes.spines.right": False}
    )
    if "identical" in found:
        alarms(found["identical"], folder / "judge-alarms.svg")
    if "tolerant" in found:
        tolerance(found["tolerant"], folder / "judge-power.svg")


def alarms(table: dict[str, list[list[float]]], file: Path) -> None:
    """Worst and best shape of every cell, ours and Kayenta's rule, over autocorrelation."""
    figure, panes = plt.subplots(1, len(POINTS), figsize=(10, 3.4), sharey=True)
    for pane, (place, points) in zip(panes, enumerate(POINTS), strict=True):
        for key, colour, name in ((0, OURS, "redstart"), (2, THEIRS, "Kayenta's rule")):
            cells = [[table[shape][place * len(RHOS) + at][key] for shape in table] for at in range(len(RHOS))]
            pane.fill_between(RHOS, [min(c) for c in cells], [max(c) for c in cells], color=colour, alpha=0.25, lw=0)
            pane.plot(RHOS, [sorted(c)[len(c) // 2] for c in cells], color=colour, marker="o", label=name)
        pane.axhline(2.0, color=LIMIT, ls="--", lw=1, label="goal: 2 %")
        pane.set_title(f"{points} points")
        pane.set_xlabel("autocorrelation at one step")
        pane.set_yscale("symlog", linthresh=1.0)
        pane.set_yticks([0, 1, 2, 5, 10, 20, 50], ["0", "1", "2", "5", "10", "20", "50"])
    panes[0].set_ylabel("% of identical metrics flagged")
    panes[0].legend(frameon=False, fontsize=8, loc="upper left")
    _save(figure, file)


def tolerance(table: dict[str, list[list[float]]], file: Path) -> None:
    """Share found over the size of the rise, with 10 % allowed."""
    figure, panes = plt.subplots(1, len(POINTS), figsize=(10, 3.2), sharey=True)
    for title, (rises, shares) in table.items():
        points, rho = (word.split()[-1] if "rho" in word else word.split()[0] for word in title.split(", "))
        pane = panes[POINTS.index(int(points))]
        shade = {"0": OURS, "0.5": "#5b86c4", "0.9": "#b9c9e0"}[rho]
        pane.plot([100 * rise for rise in rises], shares, marker="o", ms=3, color=shade, label=f"autocorrelation {rho}")
        pane.set_title(f"{points} points")
        pane.set_xlabel("true rise, % of the baseline")
        pane.axvline(10, color=LIMIT, ls="--", lw=1)
    panes[0].set_ylabel("% found")
    panes[2].legend(frameon=False, fontsize=8, loc="lower right")
    _save(figure, file)


def _save(figure: plt.Figure, file: Path) -> None:
    figure.patch.set_facecolor("white")
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    print(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
