"""The page while a study runs: what is there so far, what is missing, how long it may take."""

import time
from collections.abc import Mapping

from dbray.report.explorer import explorer_of
from dbray.report.page.page import Section, Table, render_page
from dbray.report.tables.tables import unscored_tables
from dbray.store import Study

LIVE = "report/live.html"
EVERY = 60  # seconds from one page to the next


def write_live(study: Study, asked: Mapping[str, str], begun: float) -> None:
    """Write the page of the trials that are committed by now; nothing is scored.

    Parameters
    ----------
    asked
        Names of the trials that this command does, by id.
    begun
        When it began with them, in seconds since the epoch.
    """
    tables = unscored_tables(study)
    there = set(tables.trials.trial_id) if tables else set()
    missing = [name for trial_id, name in asked.items() if trial_id not in there]
    lead = [
        f"This study is running. {len(there)} trials are finished, {len(missing)} are missing"
        f"{_left(time.time() - begun, len(asked) - len(missing), len(missing))}. Scores come at "
        f"the end. Written at {time.strftime('%H:%M:%S')}; it loads itself again every {EVERY} "
        "seconds."
    ]
    rows = [[name] for name in missing]
    page = render_page(
        study.info["title"],
        lead,
        [Section("What is missing", tables=[Table(["trial"], rows)])],
        instrument=explorer_of(study, tables) if tables else None,
        refresh=EVERY,
    )
    study.write_bytes(LIVE, page)


def _left(seconds: float, done: int, missing: int) -> str:
    """How long the rest may take, if it goes on as it has."""
    if not done or not missing:
        return ""
    left = seconds / done * missing
    return (
        f", which may take {left:.0f} s more"
        if left < 90
        else (f", which may take {left / 60:.0f} min more")
    )
