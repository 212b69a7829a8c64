"""One call of a user's own training, and what may go wrong with it."""

import contextlib
import os
import secrets
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import nn

from dbray.architectures import Reading, reading_of
from dbray.architectures.outputs import Adapted
from dbray.config import OwnTrainingConfig
from dbray.datasets import Dataset
from dbray.errors import StorageError, TrialFailedError, UserError, reason
from dbray.importing import import_function
from dbray.own.answers import answers_on, are_probabilities
from dbray.own.calling import named
from dbray.own.factory import build_with, factory_path
from dbray.own.fit import load_strictly
from dbray.own.recipe import is_command
from dbray.own.seeds import Seeds
from dbray.own.weights import is_safetensors, read_weights
from dbray.training import EpochRecord, OnEpoch

LONGEST_HISTORY = 1000  # records; of longer ones every second is kept
CHECKPOINT = "checkpoint"  # file below the folder that a command writes weights to
MARK = "DBRAY_TRAINING"  # in the environment of what a training starts
END_SECONDS = 5.0  # that processes which a training has left get to end


@dataclass(frozen=True)
class Place:
    """Where a training runs."""

    device: torch.device
    folder: Path  # for its own checkpoints
    output: Path  # file that what it prints goes to
    keep: Callable[[], None] = lambda: None  # called now and then: bring the folder to safety
    factory: str = ""  # builds the model again; none: only the training does
    allow_unstable: bool = False  # take a model whose answers depend on the batch, or change


@dataclass
class Trained:
    """What a training has given: a model that answers logits, on the CPU."""

    model: Adapted
    factory: str
    history: list[EpochRecord] = field(default_factory=list)
    seconds: float = 0.0


def train_own(
    config: OwnTrainingConfig, dataset: Dataset, place: Place, on_epoch: OnEpoch | None = None
) -> Trained:
    """Train one model as its user does.

    What the training leaves behind is put right: the current folder, default types, processes.

    Raises
    ------
    TrialFailedError
        If the training raises, ends its process, or gives no model that answers logits. Its
        traceback is at the end of the output.
    """
    report = _Report(place.keep, on_epoch)
    place.folder.mkdir(parents=True, exist_ok=True)
    with _put_right(), _captured(place.output):
        try:
            run = _run_command if is_command(config.train) else _call_function
            model, factory = run(config, dataset, place, report)
            seconds = report.seconds
            found = _checked(config, dataset, model, factory, place.allow_unstable)
        except (KeyboardInterrupt, StorageError, TrialFailedError):
            raise
        except UserError as error:
            raise TrialFailedError(str(error)) from error
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            raise TrialFailedError(f"{_where(error)}{reason(error)}") from error
    return Trained(found, factory, report.history, seconds)


class _Report:
    """``report(epoch, loss, accuracy)`` for a user's function: progress and history."""

    def __init__(self, keep: Callable[[], None], on_epoch: OnEpoch | None) -> None:
        self.keep, self.on_epoch = keep, on_epoch
        self.started = time.perf_counter()
        self.history: list[EpochRecord] = []

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def __call__(
        self,
        epoch: int,
        loss: float = float("nan"),
        accuracy: float = float("nan"),
        test_accuracy: float = float("nan"),
    ) -> None:
        shares = float(accuracy), float(test_accuracy)
        record = EpochRecord(int(epoch), float(loss), *shares, self.seconds)
        self.history.append(record)
        if len(self.history) > LONGEST_HISTORY:
            del self.history[-2::-2]  # never the last
        self.keep()
        if self.on_epoch:
            self.on_epoch(record)


def _call_function(
    config: OwnTrainingConfig, dataset: Dataset, place: Place, report: _Report
) -> tuple[nn.Module, str]:
    seeds = Seeds(**config.seeds)
    offered = {
        "seeds": seeds,
        "seed": seeds.weights,
        "dataset": dataset,
        "device": place.device,
        "folder": place.folder,
        "report": report,
    }
    function = import_function("--train", config.train)
    returned = function(**named(function, offered), **dict(config.options))
    model, factory = returned if isinstance(returned, tuple) else (returned, place.factory)
    if not isinstance(model, nn.Module):
        raise UserError(
            f"its training returned {type(model).__name__}; return the trained torch.nn.Module, or "
            "it and the function that builds one"
        )
    return model, factory if isinstance(factory, str) else factory_path(factory)


def _run_command(
    config: OwnTrainingConfig, dataset: Dataset, place: Place, report: _Report
) -> tuple[nn.Module, str]:
    checkpoint = place.folder / CHECKPOINT
    filled: dict[str, Any] = {
        **dict(config.options),
        **{str(source): seed for source, seed in config.seeds.items()},
        "seed": config.weights_seed,
        "checkpoint": checkpoint,
        "folder": place.folder,
        "device": place.device,
    }
    checkpoint.unlink(missing_ok=True)  # of a process that was killed: no result of this one
    # Split before it is filled: a path with spaces is one word.
    words = [word.format(**filled) for word in shlex.split(config.train)]
    process = subprocess.Popen(words, start_new_session=True)
    try:
        status = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
    if status:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise UserError(f"its command ended with {how}")
    if not checkpoint.is_file():
        raise UserError("its command ended well and has written no {checkpoint}")
    model = build_with(place.factory, dataset, dict(config.options), Reading())
    load_strictly(
        "its checkpoint", model, read_weights(checkpoint), tied=is_safetensors(checkpoint)
    )
    report.keep()
    return model.model if isinstance(model, Adapted) else model, place.factory


def _checked(
    config: OwnTrainingConfig,
    dataset: Dataset,
    model: nn.Module,
    factory: str,
    allow_unstable: bool,
) -> Adapted:
    """The model as it is to be read, once it has answered and its factory has built it again."""
    normalisation = dataset.mean, dataset.std
    model = model.cpu().eval()
    found = Adapted(model, dataset.classes, reading_of(config, normalisation))
    answers = answers_on("its model", found, dataset, allow_unstable=allow_unstable)
    shares = are_probabilities("its model", answers, said=None)
    reading = reading_of(config, normalisation, probabilities=shares)
    found = Adapted(model, dataset.classes, reading).eval()
    if factory:
        again = build_with(factory, dataset, dict(config.options), reading)
        weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
        load_strictly(f"factory {factory}: the trained weights", again, weights, tied=False)
        if not isinstance(again, Adapted):
            raise TypeError("a model that is built by a factory is built without its reading")
        built = answers_on(f"factory {factory}", again, dataset, allow_unstable=allow_unstable)
        if not torch.allclose(built, answers, rtol=1e-3, atol=1e-3 * float(answers.abs().max())):
            raise UserError(
                f"factory {factory}: with the trained weights its model answers otherwise than the "
                "trained one"
            )
    return found


@contextlib.contextmanager
def _captured(output: Path) -> Iterator[None]:
    """Send to a file what is printed, also by libraries and processes that are started."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    saved = os.dup(1), os.dup(2)
    with output.open("w", buffering=1, errors="backslashreplace") as file:
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
        finally:
            file.flush()
            for number, kept in zip((1, 2), saved, strict=True):
                os.dup2(kept, number)
                os.close(kept)


@contextlib.contextmanager
def _put_right() -> Iterator[None]:
    """Put back what a training may change for its process, and end processes that it leaves."""
    here, dtype = Path.cwd(), torch.get_default_dtype()
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    mark = secrets.token_hex(8)
    os.environ[MARK] = mark
    try:
        with torch.enable_grad():
            yield
    finally:
        os.chdir(here)
        torch.set_default_dtype(dtype)
        torch.set_default_device("cpu")
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        del os.environ[MARK]
        _end_all(_marked(mark))


def _marked(mark: str) -> Iterator[psutil.Process]:
    """Processes that were started with the mark, also by ones that have ended since."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.pid != os.getpid():
                yield process


def _end_all(processes: Iterable[psutil.Process]) -> None:
    left = list(processes)
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in left:
            with contextlib.suppress(psutil.Error):
                end(process)
        _, left = psutil.wait_procs(left, timeout=END_SECONDS)


def _where(error: BaseException) -> str:
    """The user's line that an error comes from: the last one outside installed packages."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and f.filename != __file__]
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}: " if own else ""
