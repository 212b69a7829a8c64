"""What a study still lacks."""

from collections.abc import Sequence
from dataclasses import dataclass

from dbray.config import AnyConfig, TrialConfig, group_label
from dbray.store import CommittedTrial, Study
from dbray.trial import PlanePlan, covers


@dataclass(frozen=True)
class Work:
    """One thing that the sweep has to do: train a trial, or label more planes with it."""

    config: AnyConfig
    group: str  # that its trial belongs to
    committed: CommittedTrial | None = None

    @property
    def title(self) -> str:
        """Name of the trial for people."""
        more = ", more planes" if self.committed else ""
        stop = self.config.stop_epoch if isinstance(self.config, TrialConfig) else None
        early = f", epoch {stop}" if stop and f"epoch {stop}" not in self.group else ""
        return f"{self.group}, {self.config.member}{early}{more}"

    @property
    def workers(self) -> int:
        """Processes that it takes: only training is shared."""
        if self.committed or not isinstance(self.config, TrialConfig):
            return 1
        return self.config.training.workers_per_trial


def missing_work(study: Study, configs: Sequence[AnyConfig], plan: PlanePlan) -> list[Work]:
    """What a study still lacks: trials that are not committed, or lack planes of the plan."""
    if not configs:
        return []
    inventory = study.inventory()
    committed = {trial.trial_id: trial for trial in inventory.committed}
    failed = {trial.trial_id for trial in inventory.failed}
    group_by = study.info["group_by"]
    work = []
    for config in configs:
        group = group_label(config, group_by)
        trial = committed.get(config.trial_id)
        if trial is None and config.trial_id not in failed:
            work.append(Work(config, group))
        elif trial is not None and not covers(trial, plan):
            work.append(Work(trial.config, group, trial))
    return work
