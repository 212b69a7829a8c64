"""One training by several processes: Ray Train inside of a Tune trial."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from ray import train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.tune.integration.ray_train import TuneReportCallback

from dbray.store import Folder
from dbray.sweep.resources import Resources
from dbray.sweep.session import work_in
from dbray.training import ProcessGroup
from dbray.trial import Execution

PATIENCE = 24 * 3600  # seconds that a process waits for the others, the leader's labelling included

Body = Callable[[Execution, Callable[[dict[str, Any]], None]], None]


def train_distributed(
    body: Body, execution: Execution, resources: Resources, state: Folder, folder: str
) -> None:
    """Run a body on every rank; what it reports reaches Tune.

    Ray reserves all ranks at once or none, and the Tune trial that waits for them
    holds nothing: trials cannot starve each other.

    Parameters
    ----------
    body
        Called with how to run and with a function to report by, which all ranks
        have to call equally often.

    Raises
    ------
    ray.train.TrainingFailedError
        If a process dies or raises; the others are ended.
    """

    def run() -> None:
        work_in(folder)
        place = train.get_context()
        device = get_device()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        ranks = ProcessGroup(place.get_world_rank(), place.get_world_size())
        body(replace(execution, device=str(device), process_group=ranks), train.report)

    each = {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial}
    TorchTrainer(
        run,
        torch_config=TorchConfig(
            backend="nccl" if resources.gpus_per_trial else "gloo", timeout_s=PATIENCE
        ),
        scaling_config=ScalingConfig(
            num_workers=resources.workers_per_trial,
            use_gpu=resources.gpus_per_trial > 0,
            resources_per_worker={name: amount for name, amount in each.items() if amount},
        ),
        run_config=RunConfig(
            name=f"train-{secrets.token_hex(6)}",  # Ray takes up a run of a name that it knows
            storage_path=state.root,
            storage_filesystem=state.filesystem,
            failure_config=FailureConfig(max_failures=0),  # Tune starts it again
            callbacks=[TuneReportCallback()],
        ),
    ).fit()
