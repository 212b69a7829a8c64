"""What one process does for several tasks, one after the other."""

import logging

from ray import tune

from dbray.config import TrialConfig
from dbray.sweep import Work, tasks
from dbray.sweep.tasks import batches_of, packed, unpacked


def test_a_note_is_said_once_whatever_the_process_did_before(monkeypatch):
    said = []
    monkeypatch.setattr(tune, "report", said.append)
    for _ in range(3):
        with tasks._notes_reported():
            logging.getLogger("dbray").warning("%s starts over", "it")
    assert said == [{"state": "note", "reason": "it starts over"}] * 3


def test_a_task_gets_its_own_work_and_unpickles_little_of_the_studys():
    work = [Work(TrialConfig("digits", "", "mlp", weights_seed=n), "mlp") for n in range(1005)]
    batches = batches_of(work, 1)
    packs = packed(batches)
    assert [unpacked(packs, number) for number in range(len(batches))] == batches
    assert max(map(len, packs)) < sum(map(len, packs)) / 5
