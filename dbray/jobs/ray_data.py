"""Many work items of several jobs in one Ray Data pass, their results in order."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import pyarrow as pa
import ray

from dbray.jobs.contrasts import Contrasts

for _name in ("ray.data", "ray.data._internal"):  # it announces every job with several lines
    logging.getLogger(_name).setLevel(logging.ERROR)


class Job(Protocol):
    """One score: its work items, what is made of each, and the score tables of it all."""

    @property
    def items(self) -> Sequence[Any]:
        """Work items, each small enough for one task."""

    def work(self, item: Any) -> pa.Table:  # noqa: ANN401 - a job knows its own items
        """What one item gives; runs anywhere, in bounded memory."""

    def write(self, results: Iterator[pa.Table], contrasts: Contrasts) -> None:
        """Write the score tables from the items' results, which come in the items' order.

        Scores that contrasts may be made of go to ``contrasts``, too.
        """


@dataclass(frozen=True)
class Task:
    """One work item with the job that it belongs to."""

    job: Job
    item: Any


def tables_in_order(tasks: Sequence[Task]) -> Iterator[pa.Table]:
    """Results of the tasks, in their order, as they are consumed; each is one Ray Data task.

    The tasks go to the object store once, and to each process once, not once a task.
    """
    if not tasks:
        return
    shared = ray.put(list(tasks))

    def run(row: dict[str, Any]) -> dict[str, Any]:
        task = _tasks_of(shared)[row["item"]]
        table = task.job.work(task.item)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return {"table": sink.getvalue().to_pybytes()}

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    rows = [{"item": number} for number in range(len(tasks))]
    data = ray.data.from_items(rows, override_num_blocks=len(rows)).map(run)
    for row in data.iter_rows():
        yield pa.ipc.open_stream(row["table"]).read_all()


@lru_cache(maxsize=1)
def _tasks_of(shared: ray.ObjectRef) -> list[Task]:
    """The tasks as this process has them: unpickling every trial's record takes its time."""
    tasks: list[Task] = ray.get(shared)
    return tasks
