"""What one process does for several tasks, one after the other."""

import logging

from ray import tune

from dbray.sweep import tasks


def test_a_note_is_said_once_whatever_the_process_did_before(monkeypatch):
    said = []
    monkeypatch.setattr(tune, "report", said.append)
    for _ in range(3):
        with tasks._notes_reported():
            logging.getLogger("dbray").warning("%s starts over", "it")
    assert said == [{"state": "note", "reason": "it starts over"}] * 3
