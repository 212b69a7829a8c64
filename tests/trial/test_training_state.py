"""A training that is paused, saved and taken up again ends as if there had been no break."""

import io
import json
import pickle
import random
from dataclasses import astuple, replace

import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_study import DESCRIBED
from torch import nn
from width_study import RECIPE

from dbray.architectures import build_model
from dbray.config import DistillationConfig, NoiseConfig, TrainingConfig, TrialConfig
from dbray.store import create_or_extend
from dbray.sweep import Work
from dbray.sweep.tasks import batches_of
from dbray.training import LONGEST_HISTORY, Teacher, Training
from dbray.training.saved_state import load, save
from dbray.trial import Execution, PlanePlan, extend_trial, run_trials
from dbray.trial.trained import SAVED_STATE

CPU = torch.device("cpu")
QUICK = TrainingConfig(
    epochs=4,
    batch_size=400,
    optimizer="adam",
    learning_rate=5e-3,
    crop_padding=1,
    schedule="cosine",
)
PLAN = PlanePlan(counts={"test": 2}, resolution=8, line_images=2)

TENSORS = st.builds(
    lambda dtype, size: torch.arange(size).to(dtype).view(1, -1),
    st.sampled_from([torch.float32, torch.float64, torch.int64, torch.uint8, torch.bfloat16]),
    st.integers(0, 5),
)
PLAIN = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
TREES = st.recursive(
    PLAIN | TENSORS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=8,
)


def pack(tree):
    sink = io.BytesIO()
    save(tree, sink)
    return sink.getvalue()


def unpack(data):
    return load(io.BytesIO(data))


def equal(one, two):
    if isinstance(one, torch.Tensor):
        return one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return list(one) == list(two) and all(equal(one[k], two[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(two) and len(one) == len(two) and all(map(equal, one, two))
    return type(one) is type(two) and one == two


@given(TREES)
def test_containers_and_tensors_survive(tree):
    assert equal(unpack(pack(tree)), tree)


def test_what_has_no_plain_form_is_refused():
    with pytest.raises(TypeError, match="set"):
        pack({"a": {1, 2}})


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@given(st.binary(max_size=200))
def test_other_bytes_are_no_state(data):
    for damaged in (data, pickle.dumps(Trap()), pack({"a": torch.ones(9)})[:-5]):
        with pytest.raises(ValueError, match="not a saved state"):
            unpack(damaged)


class Dropping(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.4), nn.Linear(16, 10))


def model(name="mlp", seed=0):
    if name == "dropping":
        torch.manual_seed(seed)
        return Dropping()
    return build_model(name, input_shape=(1, 8, 8), classes=10, width=8, seed=seed)


def teacher():
    config = DistillationConfig("0" * 12, "mlp")
    return Teacher(model(seed=9).eval(), config)


@pytest.mark.parametrize(
    ("name", "changes", "options"),
    [
        ("mlp", {}, {}),
        ("mlp", {"optimizer": "sgd", "learning_rate": 0.05, "schedule": "step"}, {}),
        ("mlp", {"optimizer": "sam", "learning_rate": 0.05}, {}),
        ("mlp", {"mixup": 0.4, "cutmix": 1.0}, {}),
        ("mlp", {"flip": True}, {"noise": NoiseConfig(0.3)}),
        ("dropping", {"optimizer": "adamw"}, {}),
        ("resnet18k", {"batch_size": 800, "epochs": 3}, {}),
        ("mlp", {}, {"teacher": True}),
    ],
)
def test_a_break_changes_no_bit(digits, name, changes, options):
    torch.set_num_threads(1)
    config = replace(QUICK, **changes)

    def training():
        taught = {"teacher": teacher()} if "teacher" in options else options
        return Training(model(name), digits, config, data_seed=3, device=CPU, **taught)

    whole = training()
    whole.run(config.epochs)
    first = training()
    first.run(1)
    saved = io.BytesIO()
    first.save(saved)
    saved.seek(0)
    first.run(config.epochs)  # a pause alone
    torch.manual_seed(77)  # another process has another global state
    second = training()
    second.resume(saved)
    assert second.epoch == 1
    second.run(config.epochs)
    for other in (first, second):
        assert equal(dict(other.loop.model.state_dict()), dict(whole.loop.model.state_dict()))
        rows = [astuple(record)[:-1] for record in other.history]  # without the seconds
        assert rows == [astuple(record)[:-1] for record in whole.history]
    assert second.seconds > 0


def test_a_long_history_is_thinned_and_keeps_the_last_epoch(digits):
    few = replace(
        digits, train_images=digits.train_images[:20], train_labels=digits.train_labels[:20]
    )
    config = replace(RECIPE, epochs=2 * LONGEST_HISTORY + 1)
    training = Training(model(), few, config, data_seed=0, device=CPU)
    training.run(config.epochs)
    assert len(training.history) <= LONGEST_HISTORY
    assert training.history[-1].epoch == config.epochs


@pytest.fixture
def study(tmp_path, digits):
    described = DESCRIBED | {"dataset": DESCRIBED["dataset"] | {"fingerprint": digits.fingerprint}}
    return create_or_extend(str(tmp_path), "states", described)


def trial(digits, stop=None, seed=0):
    recipe = replace(RECIPE, epochs=6)
    seeds = {"weights_seed": seed, "data_seed": seed}
    return TrialConfig(
        "digits", digits.fingerprint, "mlp", width=8, training=recipe, stop_epoch=stop, **seeds
    )


def do(study, configs, digits, plan=PLAN, on_epoch=None, **execution):
    return list(run_trials(study, configs, digits, plan, Execution(**execution), on_epoch))


def contents(study, config):
    """All that was committed but for durations."""
    found = {}
    for name in study.trial(config.trial_id).files:
        path = f"trials/{config.trial_id}/{name}"
        if name == "history.parquet":
            found[name] = study.read_table(path).drop_columns("seconds")
        else:
            found[name] = study.folder.read(path)
    return found


def test_one_training_gives_the_trials_of_all_its_epochs(digits, study, tmp_path):
    stops = [trial(digits, 2), trial(digits, 4), trial(digits)]
    done = do(study, stops[::-1], digits)
    assert [config.stop_epoch for config, _ in done] == [2, 4, None]
    alone = create_or_extend(str(tmp_path), "alone", study.info | {"study": "alone"})
    for config in stops:
        do(alone, [config], digits)
        assert contents(alone, config) == contents(study, config)


class PowerCutError(Exception):
    pass


def cut_at(epoch):
    def on_epoch(record):
        if record.epoch == epoch:
            raise PowerCutError

    return on_epoch


@pytest.mark.parametrize("damage", [lambda data: data, lambda data: data[:-7], lambda _: b"?"])
def test_a_training_that_was_cut_goes_on_or_starts_over(digits, study, tmp_path, damage):
    configs = [trial(digits, 5), trial(digits)]
    saved = f"trials/{configs[-1].trial_id}/{SAVED_STATE}"
    with pytest.raises(PowerCutError):
        do(study, configs, digits, on_epoch=cut_at(4), checkpoint_seconds=0)
    state = study.folder.read(saved)
    study.write_bytes(saved, damage(state))
    seen = []
    do(study, configs, digits, on_epoch=lambda record: seen.append(record.epoch))
    assert seen[0] == (5 if damage(state) == state else 1)
    assert not study.folder.exists(saved)
    alone = create_or_extend(str(tmp_path), "alone", study.info | {"study": "alone"})
    do(alone, configs, digits)
    for config in configs:
        assert contents(alone, config) == contents(study, config)


def test_no_flipped_bit_of_a_state_is_believed(digits):
    training = Training(model(), digits, QUICK, data_seed=0, device=CPU)
    training.run(1)
    sink = io.BytesIO()
    training.save(sink)
    whole = sink.getvalue()
    chance = random.Random(0)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        with pytest.raises(ValueError, match="not a saved state"):
            load(io.BytesIO(damaged))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state | {"device": "cuda"}, "saved on cuda, and this is cpu"),
        (lambda state: state | {"model": {}}, "of another training"),
        (lambda state: state | {"optimizer": {"state": {}, "param_groups": []}}, "parameter group"),
        (lambda state: {"epoch": 1}, "of another training"),
        (lambda state: state | {"random": [torch.zeros(3)]}, "of another training"),
    ],
)
def test_a_state_of_another_kind_starts_the_training_over_and_says_so(
    digits, study, caplog, change, said
):
    config = trial(digits)
    saved = f"trials/{config.trial_id}/{SAVED_STATE}"
    with pytest.raises(PowerCutError):
        do(study, [config], digits, on_epoch=cut_at(3), checkpoint_seconds=0)
    with study.folder.opened(saved) as source:
        state = change(load(source))
    with study.folder.new_file(saved) as sink:
        save(state, sink)
    seen = []
    do(study, [config], digits, on_epoch=lambda record: seen.append(record.epoch))
    assert seen == [1, 2, 3, 4, 5, 6]
    assert said in caplog.text
    assert "starts over" in caplog.text


def test_a_state_beyond_a_new_trials_epoch_is_not_for_it(digits, study):
    with pytest.raises(PowerCutError):
        do(study, [trial(digits)], digits, on_epoch=cut_at(5), checkpoint_seconds=0)
    seen = []
    do(study, [trial(digits, 3), trial(digits)], digits, on_epoch=lambda r: seen.append(r.epoch))
    assert seen[0] == 1


def test_more_lines_are_walked_with_the_stored_weights(digits, study, tmp_path):
    config = trial(digits)
    do(study, [config], digits)
    before = pq.read_table(tmp_path / "states" / "trials" / config.trial_id / "lines.parquet")
    more = replace(PLAN, line_images=5)
    extend_trial(study, study.trial(config.trial_id), digits, more, Execution())
    found = study.trial(config.trial_id)
    (name,) = (name for name in found.files if name.startswith("lines"))
    after = study.read_table(f"trials/{config.trial_id}/{name}").to_pandas()
    assert found.line_images == 5
    for kind, rows in before.to_pandas().groupby("kind"):
        kept = after[after.kind == kind].iloc[: len(rows)]
        assert kept.image_id.tolist() == rows.image_id.tolist()
        assert kept.margin.to_numpy() == pytest.approx(rows.margin.to_numpy(), rel=1e-5)
    assert "lines.parquet" not in found.files
    assert json.loads(study.folder.read(f"trials/{config.trial_id}/committed.json"))["planes"] == {
        "test": 2
    }


def test_trials_of_one_training_are_one_piece_of_work(digits):
    configs = [trial(digits, stop, seed) for seed in range(5) for stop in (2, None)]
    work = [Work(config, "group") for config in configs]
    batches = batches_of(work, 2)
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert sorted(n for batch in batches for unit in batch for n, _ in unit) == list(range(10))
    for batch in batches:
        for unit in batch:
            assert len({item.config.weights_seed for _, item in unit}) == 1
            assert [item.config.stop_epoch for _, item in unit] == [2, None]
