"""Trainings that part from another one: to the bit as if they had been trained alone."""

from dataclasses import replace

import pytest

from dbray.config import TrialConfig, canonical_json, stored_config
from dbray.sources import Branch
from dbray.store import create_or_extend
from dbray.store.shapes import parse_config
from dbray.training import Training
from dbray.trial import Execution, run_trials
from tests.trial.test_training_state import DESCRIBED, PLAN, RECIPE, contents

FILES = ("model.safetensors", "predictions.parquet", "history.parquet")


@pytest.fixture
def study(tmp_path, digits):
    described = DESCRIBED | {"dataset": DESCRIBED["dataset"] | {"fingerprint": digits.fingerprint}}
    return create_or_extend(str(tmp_path), "branches", described)


def trial(digits, branch=None, **seeds):
    recipe = replace(RECIPE, epochs=4, batch_size=400)
    return TrialConfig(
        "digits", digits.fingerprint, "mlp", width=8, training=recipe, branch=branch, **seeds
    )


def do(study, configs, digits, on_epoch=None):
    return [config for config, _ in run_trials(study, configs, digits, PLAN, Execution(), on_epoch)]


def weights(study, config):
    return study.folder.read(f"trials/{config.trial_id}/model.safetensors")


def states(study):
    return [path for path in study.folder.files("trials") if "epoch-" in path or "state" in path]


@pytest.fixture
def epochs(monkeypatch):
    """Epochs that are trained, each by its number."""
    found = []
    run = Training.run

    def counted(self, until, on_epoch=None):
        found.extend(range(self.epoch + 1, until + 1))
        run(self, until, on_epoch)

    monkeypatch.setattr(Training, "run", counted)
    return found


def test_branches_are_trained_from_states_of_a_trunk_that_is_trained_once(digits, study, epochs):
    trunk = trial(digits)
    unchanged = [trial(digits, Branch(epoch)) for epoch in (0, 1, 3)]
    order, bit = trial(digits, Branch(2, order_seed=5)), trial(digits, Branch(2, one_bit=True))
    configs = [order, *unchanged, trunk, bit]
    assert do(study, configs, digits) == [trunk, *unchanged[:2], order, bit, unchanged[2]]
    # If nothing is changed a branch is its undisturbed trunk, whenever it parts.
    assert len({weights(study, config) for config in (trunk, *unchanged)}) == 1
    assert len({weights(study, config) for config in (trunk, order, bit)}) == 3
    assert sorted(epochs) == sorted([1, 2, 3, 4] + [1, 2, 3, 4] + [2, 3, 4] + [4] + [3, 4] * 2)
    history = contents(study, order)["history.parquet"]
    before = contents(study, trunk)["history.parquet"]
    assert history.slice(0, 2).to_pylist() == before.slice(0, 2).to_pylist()
    assert history.slice(2, 1).to_pylist() != before.slice(2, 1).to_pylist()
    assert not states(study)


def test_a_change_at_the_start_is_another_training_from_the_start(digits, study):
    early = [trial(digits, Branch(0, order_seed=5)), trial(digits, Branch(0, one_bit=True))]
    alone = [trial(digits, order_seed=5), trial(digits, one_bit=True)]
    do(study, [trial(digits), *early], digits)
    for one, other in zip(early, alone, strict=True):
        do(study, [other], digits)
        assert weights(study, one) == weights(study, other)


def test_a_branch_that_was_cut_off_goes_on(digits, study, epochs):
    trunk, branch = trial(digits), trial(digits, Branch(2, order_seed=5))
    alone = create_or_extend(study.location.rpartition("/")[0], "alone", study.info)
    do(alone, [trunk, branch], digits)
    epochs.clear()

    def cut(record):
        if record.epoch == 4 and study.is_committed(trunk.trial_id):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_trials(study, [trunk, branch], digits, PLAN, Execution(checkpoint_seconds=0), cut))
    assert len(states(study)) == 2  # where it parts, and where it was cut off
    epochs.clear()
    assert do(study, [branch], digits) == [branch]
    assert epochs == [4]
    assert contents(study, branch) == contents(alone, branch)
    assert not states(study)


def test_a_branch_is_added_to_a_trunk_that_is_there(digits, study, epochs):
    trunk, branch = trial(digits), trial(digits, Branch(3))
    do(study, [trunk], digits)
    epochs.clear()
    do(study, [branch], digits)
    assert epochs == [1, 2, 3, 4]
    assert weights(study, trunk) == weights(study, branch)


def test_a_damaged_state_is_made_again(digits, study, caplog):
    trunk, branch = trial(digits), trial(digits, Branch(2))
    do(study, [trunk], digits)
    study.folder.write(f"trials/{trunk.trial_id}/epoch-2.safetensors", b"no state")
    do(study, [branch], digits)
    assert "starts over" in caplog.text
    assert weights(study, trunk) == weights(study, branch)


def test_a_branch_survives_json_and_has_a_group_of_its_own(digits):
    plain = trial(digits)
    branch = trial(digits, Branch(2, order_seed=5))
    stored = canonical_json(stored_config(branch)).encode()
    assert parse_config(stored) == branch
    assert "branch" not in stored_config(plain)
    assert branch.varied == "order from epoch 2"
    assert trial(digits, Branch(4, one_bit=True)).varied == "bit from epoch 4"
