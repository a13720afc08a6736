"""What each flow says of itself on its own page: task by task, for who reads the graph."""

from __future__ import annotations

from include.apps import App, DeliverFlow, ReleaseFlow, VerifyFlow

BUILD = """| build_artifact, run_unit_tests | the application's own commands in a clean copy; a commit is built once |
| bake_image | the artifact as a machine image, in every region |
"""
ENVIRONMENT = """| **{name}** | the image in the environment {name} |
| push | once for each region: lock, new group up and healthy, old group out, unlock |
| run_tests | the application's own tests, against the environment's address |
"""
PRODUCTION = """| claim_production | waits until no other delivery is on its way into production |
| **canary** | |
| choose_baseline, launch_canary | new and running version, same size, live traffic |
| analyze_canary | judges over 1,000 metrics, at intervals during the soak and at its end |
| stop_canary | takes both away, whatever happened |
| **gate_score** | go at {threshold:g} or more, or with an operator's approval; else the run ends here |
| order_regions | which regions, in which waves |
| **push** | once for each region, wave by wave; skipped where it was not asked for |
{window}| claim_cluster | waits for its turn, then locks the region |
| push_red_black | new group up, traffic over, old group kept: out of traffic, warm |
| watch_red | the new version alone, against what the canary measured |
| roll_back | only when one of the two has failed: back to the old group |
| release_cluster | unlocks the region, whatever happened |
| **halt**.take_back | only when a region has failed and the form says so: the finished ones go back, the last first |
| **finish** | says what takes traffic in every region |
"""
WINDOW = "| await_quiet_window | waits for its turn, then until its market is quiet |\n"
FOOT = """
**What a task made** is behind the button on its *Details* tab: report, log, images, groups. **What clear and retry do**
is in the book on the task's own page; every task may be cleared or retried at any time.
"""
HEAD = "| task | what it does |\n|---|---|\n"
NOTHING_NEW = (
    "Started by a commit{clock}, or by hand with the form. A green run of skipped (pink) tasks found nothing new.\n"
)
LINE = "| release_production | lets the next delivery pass, whatever happened |\n"

ROLLBACK_DOC = """Take `{app}` back in production: no canary, no queue; one task per region right behind the click.

Fill in **where** and **why**; *Trigger*. A push under way in a region stops by itself at its next step.

| task | what it does |
|---|---|
| roll_back | the group from before takes the traffic; its size is made right for the traffic of now |
| release_cluster | unlocks the region, whatever happened |
| finish | says what serves now, and how long it took until users were safe |

Where no earlier group is left, the version before is pushed again from its image. The way forward again: the same form,
with the group to go to. A region that was not asked for is skipped (pink).
"""

JANITOR_DOC = """What `{app}` needs no more is taken away, every hour, in every environment and region.

| task | what it does |
|---|---|
| free_locks | locks whose run is over and did not free them; never a person's |
| cluster.sweep | groups out of traffic when their time is over; canaries and baselines whose run is over |
| sweep_images | images that nothing uses and no rollback or release may need; builders that no bake is at |

Each task's button says what went, what stays, and why; what went is in the ledger too. *Trigger* with **Only look** to
see what would go. A region that is locked, or does not answer, is left for the next time; the others are swept.
"""


def verify_doc(flow: VerifyFlow) -> str:
    """The page of a flow whose commits are verified."""
    places = " and ".join(flow.environments)
    rows = "".join(ENVIRONMENT.format(name=name) for name in flow.environments)
    candidate = "| **mark_candidate** | passed everywhere: a release candidate |\n" if flow.makes_candidates else ""
    return (
        f"A commit on `{flow.branch}` is built once, pushed to {places}"
        f"{' side by side' if len(flow.environments) > 1 else ''}, and tested there.\n\n"
        f"{HEAD}| **build** | |\n| select_commit | the newest commit on {flow.branch}; "
        f"there already: all else is skipped |\n"
        f"{BUILD}{rows}{candidate}| **finish** | says what serves there |\n{FOOT}\n{NOTHING_NEW.format(clock='')}"
    )


def production_words(app: App) -> str:
    """The rows of the way into production."""
    window = WINDOW if app.prod.windows is not None else ""
    return PRODUCTION.format(threshold=app.prod.gate_threshold, window=window)


def deliver_doc(app: App, flow: DeliverFlow) -> str:
    """The page of a flow whose commits go to production by themselves."""
    merge = ""
    if flow.merge_into:
        merge = f"| merge_back | {flow.branch} into {flow.merge_into}; a conflict is reported and stops nothing |\n"
    rows = "".join(ENVIRONMENT.format(name=name) for name in flow.environments)
    clock = ", by the clock" if flow.schedule else ""
    return (
        f"A commit on `{flow.branch}` travels to production: built once, judged beside the running version, pushed "
        f"region by region.\n\n{HEAD}| **build** | |\n| select_commit | the newest commit on {flow.branch}; "
        f"live everywhere already: all else is skipped |\n{merge}{BUILD}{rows}"
        f"{production_words(app)}{LINE}{FOOT}\n{NOTHING_NEW.format(clock=clock)}"
    )


def release_doc(app: App, flow: ReleaseFlow) -> str:
    """The page of the weekly push."""
    merge = ""
    if flow.merge_into:
        merge = (
            f"| merge_release | the candidate's commit into {flow.merge_into}, tagged {flow.tag_prefix}<version> |\n"
        )
    return (
        f"**The weekly push of `{app.name}`.** *Trigger*, choose a release candidate (empty: the newest) and say why; "
        f"the rest goes by itself. Candidates: [the list](/redstart/candidates/{app.name}), or "
        f"`./redstart candidates {app.name}`.\n\n"
        f"{HEAD}| select_candidate | the candidate, and its images |\n"
        f"{production_words(app)}{merge}{LINE}{FOOT}"
    )
