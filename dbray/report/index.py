"""One page over all studies of a storage location: what each asks, what came out, its state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbray.claims import asked_of, read_results, study_claims, verdict
from dbray.claims.contrasts import SCORED_KIND
from dbray.claims.names import display_name
from dbray.claims.words import with_interval
from dbray.config import group_label
from dbray.errors import StorageError, UserError
from dbray.planes import plane_kind
from dbray.report.figures.regions import picture_uri
from dbray.report.page.page import render_index
from dbray.report.tables.pictures import pictured_ids, read_pictures, read_planes
from dbray.report.tables.score_tables import read_scores
from dbray.report.tables.tables import records
from dbray.store import (
    CommittedTrial,
    Inventory,
    Scope,
    Study,
    open_folder,
    scope_of,
    stale_tables,
    studies_in,
)
from dbray.store.pages import INDEX, REPORT
from dbray.store.scope import at_their_end


@dataclass(frozen=True)
class Entry:
    """A study on the page.

    Attributes
    ----------
    link
        Its own page as seen from this one; empty if it has none.
    picture
        A model's regions, as a data URI; empty without pictures.
    about
        Data set, groups and trials (none that stopped early) in words.
    results
        Sentences: agreement within groups with intervals, then the claims.
    """

    name: str
    link: str
    title: str
    picture: str = ""
    about: str = ""
    results: Sequence[str] = ()
    state: str = ""
    date: str = ""


def write_index(storage: str) -> str:
    """Write the page into the storage location, and say where it is.

    Raises
    ------
    UserError
        If no study lies there.
    """
    folder = open_folder(storage)
    studies = studies_in(storage)
    if not studies:
        raise UserError(f"{folder.location}: no study here (no folder with a study.json)")
    entries = sorted(map(_entry, studies), key=lambda entry: entry.date, reverse=True)
    folder.write(INDEX, render_index(folder.location, entries))
    return f"{folder.location}/{INDEX}"


def _entry(study: Study) -> Entry:
    """What a study says of itself; what is wrong with it, where it cannot be read."""
    link = f"{study.name}/{REPORT}" if study.folder.exists(REPORT) else ""
    try:
        info = study.info
        inventory = study.inventory()
        ends = at_their_end(inventory.committed, info["group_by"])
        scope = scope_of(study, inventory.committed) if ends else None
        return Entry(
            name=study.name,
            link=link,
            title=info["title"],
            picture=_picture(study, info, ends) if ends else "",
            about=_about(info, ends),
            results=_results(study, scope) if scope else (),
            state=_state(study, info, inventory, scope),
            date=_date(info),
        )
    except (UserError, StorageError) as error:
        return Entry(study.name, link, "", state=f"cannot be read: {error}")


def _about(info: Mapping[str, Any], trials: Sequence[CommittedTrial]) -> str:
    groups = {group_label(trial.config, info["group_by"]) for trial in trials}
    planes = sum(info["planes"]["counts"].values())
    return f"{info['dataset']['name']}, {planes} planes, {len(groups)} groups, {len(trials)} trials"


def _results(study: Study, scope: Scope) -> list[str]:
    """The least and the most reproducible group, and the claims."""
    if not study.folder.exists("scores/agreement_by_group.parquet"):
        return []
    groups = read_scores(study, "agreement_by_group")
    inside = groups[(groups.group_a == groups.group_b) & (groups.kind == SCORED_KIND)]
    rows = records(inside.sort_values("agreement"))
    said = [
        f"{display_name(row['group_a'])} "
        + with_interval(row["agreement"], row["low"], row["high"], planes_only=row["planes_only"])
        for row in (rows if len(rows) < 2 else (rows[0], rows[-1]))
    ]
    agreement = [f"Agreement between seeds: {' to '.join(said)}."] if said else []
    results = read_results(study)
    verdicts = [verdict(claim, results) for claim in study_claims(asked_of(scope))]
    told = [f"{found.claim.name} {found.outcome}" for found in verdicts]
    return [*agreement, f"Claims: {', '.join(told)}."] if told else agreement


def _state(study: Study, info: Mapping[str, Any], inventory: Inventory, scope: Scope | None) -> str:
    last = info["invocations"][-1] if info["invocations"] else {}
    wrong = len(inventory.damaged) + len(inventory.foreign)
    counted = {
        "not finished": len(last.get("not_finished", [])),
        "failed": len(inventory.failed),
        "damaged": wrong,
    }
    troubles = [f"{count} trials {what}" for what, count in counted.items() if count]
    if not scope:
        troubles.append("no finished trial yet")
    elif not study.folder.exists("scores/agreement_by_group.parquet"):
        troubles.append("not scored yet")
    elif stale := stale_tables(study, scope, read_through=False):
        troubles.append(f"scores out of date ({', '.join(stale)})")
    return "; ".join(troubles) or "finished"


def _date(info: Mapping[str, Any]) -> str:
    calls = info["invocations"]
    return str(calls[-1]["started"])[:16].replace("T", " ") if calls else ""


def _picture(study: Study, info: Mapping[str, Any], trials: Sequence[CommittedTrial]) -> str:
    """The first finished model's regions on the first test plane that has pictures."""
    ids = [i for i in pictured_ids(study) if plane_kind(i) == SCORED_KIND]
    planes = read_planes(study, ids[:1])
    found = read_pictures(study, trials[:1], planes) if planes else {}
    classes = len(info["dataset"]["class_names"])
    return next((picture_uri(picture, classes) for picture in found.values()), "")
