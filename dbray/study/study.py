"""One study from its options to its report: train what is missing, score, report."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import torch
from rich.console import Console

from dbray.command_line import open_in_browser
from dbray.config import AnyConfig, NoiseConfig, TrialConfig
from dbray.datasets import Dataset, describe_dataset, load_dataset
from dbray.labelling import check_lines
from dbray.planes import check_planes
from dbray.store import (
    Study,
    is_scored,
    open_folder,
    planned_study,
    study_at,
    write_description,
)
from dbray.store.pages import INDEX, REPORT, is_up_to_date, page_inputs
from dbray.study.checks import check_grid
from dbray.study.grid import as_begun, with_stops
from dbray.study.options import StudyOptions, TrainingOptions
from dbray.study.planes import (
    adversarial_planes,
    ask_for_adversarial,
    ask_for_mislabelled,
    describe_planes,
    find_trial,
    plane_plan,
    write_planes,
)
from dbray.study.provenance import library_versions, record_invocation
from dbray.study.share import shares
from dbray.study.until_decided import planned_looks, seeds_in_words
from dbray.sweep import (
    Resources,
    check_resources,
    find_cluster,
    missing_work,
    ray_session,
    slots_here,
)
from dbray.trial import PlanePlan


def run_study(
    options: StudyOptions,
    *,
    title: str,
    dataset: Dataset,
    configs: Sequence[AnyConfig],
    group_by: Sequence[str],
    noise: NoiseConfig | None = None,
    own_training: Mapping[str, Any] | None = None,
    prepare: Callable[[Study], None] = lambda _: None,
) -> int:
    """Bring a study to where its options want it.

    Parameters
    ----------
    title
        The question that the study asks, for the report.
    configs
        Every grid point; those that are committed already are not trained again. Trials that
        others learn from come before these.
    group_by
        Config fields that put trials into one group.
    noise
        If given, planes also go through training images that it mislabels, and that it does not.
    own_training
        How models of a user's own training are read; none if it has none.
    prepare
        Called with the study before what is missing is looked for.

    Returns
    -------
    0, or 1 if trials are left over that could not be finished.
    """
    started, clock = time.time(), time.monotonic()
    say = partial(Console(stderr=True, highlight=False).print, markup=False, soft_wrap=True)
    if isinstance(options, TrainingOptions):
        configs = with_stops(configs, options.stop_epochs, say)
    resources = _resources(options)
    described = _describe(options, title, dataset, group_by, own_training)
    if noise:
        ask_for_mislabelled(described, noise, options.planes)
    asked = plane_plan(described)
    if isinstance(options, TrainingOptions) and options.dry_run:
        _print_costs(configs, dataset, asked, resources)
        _print_undecided(study_at(options.storage, options.name))
        return 0
    check_resources(resources)
    if options.adversarial_to:
        attacked = find_trial(study_at(options.storage, options.name), options.adversarial_to)
        ask_for_adversarial(described, attacked.trial_id, options.planes)
    study, planned = planned_study(options.storage, options.name, described)
    configs = as_begun(planned, configs, say)
    # Whatever can be refused is refused before the study changes.
    plan = _checked_plan(study, planned, dataset)
    check_grid(study, planned, configs, dataset, plan)
    write_description(study, planned)
    write_planes(study, dataset, plan)
    study.folder.remove_partial_files()
    study.refresh_index()
    _leave_out(study, say, retry_failed=options.retry_failed)
    prepare(study)
    mine, others = shares(configs, options.share)
    work = missing_work(study, mine, plan)
    say(describe_dataset(dataset))
    share = f" in share {options.share}" if options.share else ""
    say(f"study {study.location}: {len(mine)} trials{share}, {len(work)} to do")
    left_over: list[str] = []
    waiting = missing_work(study, others, plan)
    if work or not (waiting or is_scored(study)):
        wanted = {item.config.trial_id: item.title for item in work}
        with ray_session(resources.cluster), _live(study, wanted, say, options):
            from dbray.study.work import do_work  # slow to import

            left_over = do_work(study, work, dataset, plan, resources, options)
            study.refresh_index()
            swept = time.monotonic() - clock
            for line in left_over:  # said first: without any trial, scoring ends the command
                say(f"not finished: {line}")
            waiting = missing_work(study, others, plan)
            if not (waiting or is_scored(study)):  # new pictures alone change no score
                from dbray.jobs import score  # slow to import

                say("scoring")
                score(study)
        if work:
            seconds = time.monotonic() - clock
            record_invocation(study, started, seconds, swept, len(work), left_over)
    if waiting:
        say(f"{len(waiting)} trials of other shares are to do; the command that ends last scores")
    else:
        _show(study, dataset, options)
    return 1 if left_over or _say_failed(study, mine, say) else 0


def _live(
    study: Study, wanted: Mapping[str, str], say: Callable[[str], None], options: StudyOptions
) -> contextlib.AbstractContextManager[None]:
    """The live page for the length of a block, where it is asked for."""
    if not options.live:
        return contextlib.nullcontext()
    from dbray.study.live import live_page  # slow to import

    return live_page(study, wanted, say)


def _show(study: Study, dataset: Dataset, options: StudyOptions) -> None:
    """Write the page unless it is up to date, and say where it is."""
    location = f"{study.location}/{REPORT}"
    if not is_up_to_date(study, page_inputs(study, confidence=options.confidence)):
        from dbray.report import write_report  # this and what follows: slow to import
        from dbray.study.thumbnails import write_thumbnails

        write_thumbnails(study, dataset)
        write_report(study, confidence=options.confidence)
    if open_folder(options.storage).exists(INDEX):
        from dbray.report import write_index

        write_index(options.storage)
    if options.sheets:
        from dbray.report import write_sheets

        print(f"pictures: {write_sheets(study, confidence=options.confidence)}")  # noqa: T201
    print(f"report: {location}")  # noqa: T201
    if options.open:
        open_in_browser(location)


def _checked_plan(study: Study, planned: Mapping[str, Any], dataset: Dataset) -> PlanePlan:
    """The planes of a planned study, all of which the data set can give."""
    asked = plane_plan(planned)
    check_planes(dataset, asked.counts, asked.source, asked.pictures)
    check_lines(dataset, asked.line_images, asked.source)
    return plane_plan(planned, adversarial_planes(study, planned, dataset))


def _say_failed(study: Study, configs: Sequence[AnyConfig], say: Callable[[str], None]) -> bool:
    """Name the trials that were asked for and have failed; whether there are any."""
    asked = {config.trial_id for config in configs}
    failed = [trial for trial in study.failed() if trial.trial_id in asked]
    for trial in failed:
        name = f"{trial.config.name}, {trial.config.member}"
        say(f"failed: {name}: {trial.reason}")
    if failed:
        say("--retry-failed does failed trials again")
    return bool(failed)


def study_dataset(options: StudyOptions) -> Dataset:
    """Load the options' data set."""
    return load_dataset(options.dataset, options.data_dir)


def _resources(options: StudyOptions) -> Resources:
    names = {field.name for field in fields(Resources)} & {f.name for f in fields(options)}
    given = {name: getattr(options, name) for name in names}
    return Resources(**{**given, "cluster": find_cluster(options.cluster)})


def _print_costs(
    configs: Sequence[AnyConfig], dataset: Dataset, plan: PlanePlan, resources: Resources
) -> None:
    from dbray.study.estimate import describe, study_costs  # slow to import

    costs = study_costs(
        [config for config in configs if isinstance(config, TrialConfig)],
        dataset,
        plan,
        calibrate=True,
        device="cuda" if resources.gpus_per_trial and torch.cuda.is_available() else "cpu",
        threads=resources.cpus_per_trial,
    )
    said = describe(
        costs,
        slots=slots_here(resources),
        cpus_per_trial=resources.cpus_per_trial,
        gpus_per_trial=resources.gpus_per_trial,
    )
    print(said)  # noqa: T201


def _print_undecided(study: Study) -> None:
    """What would decide the contrasts of a study that is there already."""
    for line in seeds_in_words(study):
        print(line)  # noqa: T201


def _describe(
    options: StudyOptions,
    title: str,
    dataset: Dataset,
    group_by: Sequence[str],
    own_training: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Contents of ``study.json``."""
    about: Mapping[str, Any] = {
        "study": options.name,
        "title": title,
        "dataset": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "class_names": list(dataset.class_names),
            "input_shape": list(dataset.input_shape),
            "train_images": len(dataset.train_labels),
            "test_images": len(dataset.test_labels),
            "mean": list(dataset.mean),
            "std": list(dataset.std),
        },
        "group_by": list(group_by),
        "contrasts": None if options.contrast is None else list(options.contrast),
        "looks": _looks(options),
        "published": True,
        "versions": library_versions(),
    }
    own = {"own_training": dict(own_training)} if own_training else {}
    return {**about, **own, **describe_planes(options)}


def _looks(options: StudyOptions) -> list[int]:
    most = options.until_decided if isinstance(options, TrainingOptions) else 0
    return planned_looks(most) if most else []


def _leave_out(study: Study, say: Callable[[str], None], *, retry_failed: bool) -> None:
    """Name the trials that do not count; those whose files are damaged are done again."""
    inventory = study.inventory()
    for problem in inventory.foreign.values():
        say(f"{problem}; it is left out")
    damaged = inventory.damaged | study.wrong_files(inventory.committed)
    for trial_id, problem in damaged.items():
        say(f"{problem}; this trial is done again")
        study.discard(trial_id)
    if retry_failed:
        for trial in inventory.failed:
            study.discard(trial.trial_id)
