"""Requests and seconds of a study on an object store that is some way off.

``python tests/store/round_trips.py [TRIALS [MILLISECONDS]]``: a study of so many trials of five
files lies on a server that speaks S3 (rclone) and answers every request so much later. Prints a
line a step: what it is, how many requests it sends, how long it takes.
"""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "fixtures")]

from object_stores import Proxy, environment, rclone  # noqa: E402
from tiny_study import CONFIG, DESCRIBED  # noqa: E402

from dbray.store import Study, create_or_extend, open_study  # noqa: E402

FILES = ("history", "pictures", "predictions", "test_predictions")
METRICS = {"test_accuracy": 0.9, "train_seconds": 12.345678901234567, "device": "cpu"}


def main(trials: int, milliseconds: float) -> None:
    """Print the table."""
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        here = create_or_extend(str(place / "studies"), "study", DESCRIBED)
        for seed in range(trials):
            _commit(here, seed)
        for path in (place / "studies").rglob("*.json"):
            os.utime(path, (int(time.time()) - 60,) * 2)  # as if they were written a while ago
        front = stack.enter_context(contextlib.closing(Proxy(stack.enter_context(rclone(place)))))
        os.environ |= environment(front.url)
        study = open_study("s3://studies", "study")
        front.delay = milliseconds / 1000
        print(f"| {trials} trials, {milliseconds:g} ms a request | requests | seconds |")
        print("| --- | --- | --- |")
        for step, call in {
            "a resume check without the index": study.committed,
            "the index is written": study.refresh_index,
            "a resume check with the index": study.committed,
            "the index is looked at, and is up to date": study.refresh_index,
            "a commit of five files": lambda: _commit(study, trials),
        }.items():
            _print_row(front, step, call)


def _print_row(front: Proxy, step: str, call: Callable[[], object]) -> None:
    front.requests.clear()
    started = time.perf_counter()
    call()
    print(f"| {step} | {len(front.requests)} | {time.perf_counter() - started:.2f} |", flush=True)


def _commit(study: Study, seed: int) -> None:
    files = {f"{name}.parquet": f"{name} {seed}".encode() for name in FILES}
    study.commit(
        replace(CONFIG, weights_seed=seed),
        {**files, "model.safetensors": b"weights"},
        metrics=METRICS,
        planes={"test": 3},
    )


if __name__ == "__main__":
    asked = [float(text) for text in sys.argv[1:]]
    main(int(asked[0]) if asked else 1000, asked[1] if len(asked) > 1 else 25.0)
