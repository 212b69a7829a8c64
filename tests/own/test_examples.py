"""The examples train, are built again from their weights, and resume where they say so."""

import json
import shutil
import sys

import pytest
import torch
from commands import ROOT

from dbray.config import OwnTrainingConfig
from dbray.datasets import Dataset
from dbray.labelling import predict
from dbray.own import recipe_of, train_own
from dbray.own.training import Place
from dbray.sources import OWN_SOURCES
from dbray.training import evaluate_on

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))


def train(dataset: Dataset, folder, how, seed=0, factory=""):
    command = how if "{" in how else ""
    recipe = recipe_of("" if command else how, command, ())
    seeds = {f"{source}_seed": seed for source in OWN_SOURCES}
    config = OwnTrainingConfig(dataset.name, "", recipe.train, recipe.code_sha256, **seeds)
    return train_own(config, dataset, Place(CPU, folder / "work", folder / "out", factory=factory))


@pytest.mark.parametrize("name", ["plain_loop", "with_lightning", "with_transformers"])
@pytest.mark.filterwarnings("ignore")  # of the libraries, which a user sees in the trial's output
def test_an_example_trains_and_a_seed_gives_one_model(digits, tmp_path, name):
    library = name.removeprefix("with_")
    if name != library:
        pytest.importorskip(library, reason=f"the example needs {library}")
    outputs = []
    seeds = {"a": 0, "b": 0} | ({"c": 1} if name == library else {})
    for place, seed in seeds.items():
        (tmp_path / place).mkdir()
        found = train(digits, tmp_path / place, f"examples.{name}:train", seed)
        assert evaluate_on(found.model, digits, CPU) > (0.4 if name == "with_transformers" else 0.8)
        assert found.factory == f"examples.{name}:make"
        assert len(found.history) >= 2
        assert found.history[-1].train_loss < found.history[0].train_loss
        outputs.append(predict(found.model, digits.normalise(digits.test_images), CPU))
    assert (outputs[0] == outputs[1]).all()
    assert all((outputs[0] != other).any() for other in outputs[2:])


def test_the_plain_loop_resumes_to_the_same_model(digits, tmp_path, monkeypatch):
    import examples.plain_loop as example

    whole = train(digits, tmp_path, "examples.plain_loop:train").model.state_dict()

    real, epochs = torch.save, []

    def stop_after_two(*saved):
        real(*saved)
        epochs.append(len(epochs))
        if len(epochs) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(example.torch, "save", stop_after_two)
    shutil.rmtree(tmp_path / "work")
    with pytest.raises(KeyboardInterrupt):
        train(digits, tmp_path, "examples.plain_loop:train")
    monkeypatch.undo()
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    resumed = train(digits, tmp_path, "examples.plain_loop:train")
    assert [record.epoch for record in resumed.history] == [3, 4]
    for name, tensor in resumed.model.state_dict().items():
        assert tensor.equal(whole[name])


@pytest.mark.parametrize("by", ["", "-m torch.distributed.run --nproc-per-node 2"])
def test_a_script_is_called_as_a_command(digits, tmp_path, by):
    command = f"{sys.executable} {by} examples/script.py --seed {{seed}} --out {{checkpoint}}"
    found = train(digits, tmp_path, command, factory="examples.script:make")
    assert "epoch 4, loss" in (tmp_path / "out").read_text()
    assert evaluate_on(found.model, digits, CPU) > 0.5


def test_the_notebook_runs(tmp_path, monkeypatch):
    cells = json.loads((ROOT / "examples/any_classifier.ipynb").read_text())["cells"]
    monkeypatch.chdir(tmp_path)
    seen: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"]).replace("planes=50, resolution=50", "planes=4")
            exec(source, seen)  # noqa: S102
    assert set(seen["found"].groups.group_a) == {"forest", "boosting"}
    assert (tmp_path / "forests.html").exists()
