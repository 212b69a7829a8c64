"""One way to run a function over many work items with Ray Data, in order."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import ray

for _name in ("ray.data", "ray.data._internal"):  # it announces every job with several lines
    logging.getLogger(_name).setLevel(logging.ERROR)


def tables_in_order(items: Sequence[Any], work: Callable[[Any], pa.Table]) -> Iterator[pa.Table]:
    """Tables that ``work`` makes of each item, in the items' order, as they are consumed.

    Each item is one Ray Data task. The items go to the object store once, not once a task.
    """
    shared = ray.put(list(items))

    def run(row: dict[str, Any]) -> dict[str, Any]:
        table = work(ray.get(shared)[row["item"]])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return {"table": sink.getvalue().to_pybytes()}

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    rows = [{"item": number} for number in range(len(items))]
    data = ray.data.from_items(rows, override_num_blocks=len(rows)).map(run)
    for row in data.iter_rows():
        yield pa.ipc.open_stream(row["table"]).read_all()
