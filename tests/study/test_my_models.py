"""The command that scores models trained elsewhere: what it refuses before it needs Ray."""

import pytest
import torch
from in_process import run_without_ray

from dbray.architectures import build_model
from dbray.config import CheckpointConfig, canonical_json, stored_config
from dbray.store.shapes import parse_config

NETS = """
import torch
from torch import nn

class Noisy(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, classes))

    def forward(self, images):
        return nn.functional.dropout(self.net(images), 0.5, training=True)

def noisy(input_shape, classes):
    return Noisy(classes)
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "nets.py").write_text(NETS)
    weights = {"net.1.weight": torch.randn(10, 64), "net.1.bias": torch.zeros(10)}
    torch.save(weights, tmp_path / "noisy.pt")
    row = '[[model]]\nname = "one"\nfactory = "nets:noisy"\nweights = "~/noisy.pt"\n'
    (tmp_path / "models.toml").write_text(row)
    return tmp_path


def refused(folder, *arguments):
    ended = run_without_ray("sweeps/my_models.py", *arguments, cwd=folder)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    return ended.stderr


def test_a_list_in_the_home_folder_is_found_and_unstable_models_are_named(home):
    said = refused(home, "--models", "~/models.toml")
    assert "model one: answers otherwise when the same images come again" in said
    assert "--allow-unstable" in said


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("~/none.toml", "none.toml: there is no such file"),
        ("~", "is a folder; name the list in it"),
        ("~nobody_of_this_name/models.toml", "--models ~nobody_of_this_name"),
    ],
)
def test_lists_that_are_not_there(home, models, message):
    assert message in refused(home, "--models", models)


def test_how_a_model_is_read_is_part_of_its_trial_and_older_trials_keep_their_ids():
    about = ("digits", "f", "mine", "baseline", "timm:resnet18", "0" * 64)
    assert CheckpointConfig(*about).trial_id == "b483c8b32d82"
    read = {"output": "logits", "probabilities": True, "mean": (0.1, 0.2), "std": (1.0, 0.5)}
    configs = [CheckpointConfig(*about, **{name: value}) for name, value in read.items()]
    assert len({config.trial_id for config in configs}) == len(read)
    for config in configs:
        assert parse_config(canonical_json(stored_config(config)).encode()) == config


def test_several_sets_of_weights_are_named(home):
    model = build_model("fcnet", input_shape=(1, 8, 8), classes=10, seed=0)
    torch.save({"model": model.state_dict(), "model_ema": model.state_dict()}, home / "two.pt")
    row = '[[model]]\nname = "one"\nfactory = "fcnet"\nweights = "two.pt"\n'
    (home / "models.toml").write_text(row)
    assert 'key = "model"' in refused(home)
