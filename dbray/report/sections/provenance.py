"""The report's last part: where its figures come from."""

from collections.abc import Sequence
from typing import Any

from dbray.claims.names import display_name
from dbray.config import TrialConfig
from dbray.report.page.page import Section, Table
from dbray.report.tables.tables import StudyTables
from dbray.store import Study

NAMED = 20  # models of a group, failures


def provenance_section(tables: StudyTables, study: Study) -> Section:
    """Data, planes, versions, commands and recipes."""
    info = tables.info
    data = info["dataset"]
    facts = [
        ["study", f"{info['study']} in {study.location}"],
        ["data set", f"{data['name']}, SHA-256 {data['fingerprint']}"],
        ["images", f"{data['train_images']} training, {data['test_images']} test"],
        ["planes", _planes_text(info)],
        ["versions", ", ".join(f"{name} {value}" for name, value in info["versions"].items())],
        ["finished trials", str(len(tables.trials))],
        ["failed trials", _failures(tables)],
        ["not finished by the last command", _not_finished(info)],
        *_durations(tables),
    ]
    prose = ["Trials that failed or whose files are damaged are left out of every score."]
    return Section(
        "Where this comes from",
        prose,
        tables=[
            Table(["what", "value"], facts),
            Table(["command", "started", "seconds", "trials", "on"], _invocations(info)),
            Table(_RECIPE_COLUMNS, _recipes(tables)),
        ],
        folded=True,
    )


def _durations(tables: StudyTables) -> list[list[str]]:
    steps = {"train_seconds": "training", "label_seconds": "labelling"}
    return [
        [name, f"{tables.trials[column].sum():.0f} s of all trials' own time"]
        for column, name in steps.items()
        if column in tables.trials
    ]


_RECIPE = ("optimizer", "learning_rate", "schedule", "epochs", "batch_size", "weight_decay")
_RECIPE_COLUMNS = ["group", "parameters", "models", *(n.replace("_", " ") for n in _RECIPE)]


def _recipes(tables: StudyTables) -> list[list[str]]:
    rows = []
    trials_shown = tables.of_shown_groups().trials
    for label, trials in trials_shown.groupby("label", sort=False):
        config = tables.configs[trials.trial_id.iloc[0]]
        training = config.training if isinstance(config, TrialConfig) else None
        values = [str(getattr(training, name, "")) for name in _RECIPE]
        members = ", ".join(_first(list(trials.seed)))
        rows.append([display_name(str(label)), f"{trials.parameters.iloc[0]:,}", members, *values])
    return rows


def _invocations(info: dict[str, Any]) -> list[Sequence[str]]:
    return [
        [
            call["command"],
            call["started"],
            f"{call['seconds']:.0f}",
            str(call["trials_run"]),
            f"{call['hardware']['cpu']}, {call['hardware']['cores']} cores, "
            f"{call['hardware']['memory_gb']:g} GiB{_gpus(call['hardware']['gpus'])}",
        ]
        for call in info["invocations"]
    ]


def _gpus(names: Sequence[str]) -> str:
    return f", {', '.join(names)}" if names else ", no GPU"


def _planes_text(info: dict[str, Any]) -> str:
    planes = info["planes"]
    counts = ", ".join(f"{count} {kind}" for kind, count in planes["counts"].items())
    size = f"{planes['resolution']} x {planes['resolution']}"
    return f"{counts}; {size} points, extent {planes['extent']:g}, seed {planes['seed']}"


def _failures(tables: StudyTables) -> str:
    lines = [
        f"{display_name(trial.config.name)}, {trial.config.member}: {trial.reason}"
        for trial in tables.failed
    ]
    return "; ".join(_first([*lines, *tables.damaged.values(), *tables.foreign.values()])) or "none"


def _not_finished(info: dict[str, Any]) -> str:
    """What the last command that trained had to leave, with the reasons."""
    last = info["invocations"][-1] if info["invocations"] else {}
    return "; ".join(_first(last.get("not_finished", []))) or "none"


def _first(texts: Sequence[str]) -> list[str]:
    """The first of some texts, and how many more there are."""
    more = [f"and {len(texts) - NAMED} more"] if len(texts) > NAMED else []
    return [*texts[:NAMED], *more]
