"""Published weights come from the libraries' own caches; without network, one line of advice."""

import json

import numpy as np
import pytest
import timm
import torch
import torchvision
from huggingface_hub import constants
from safetensors.torch import save_file

from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.own.pretrained import read_pretrained
from dbray.study.checkpoints import load_checkpoint, read_list

CLASSES = 1000
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def many():
    """A data set of as many classes as ImageNet has."""
    images = RNG.integers(0, 256, (CLASSES, 3, 32, 32), np.uint8)
    labels = np.arange(CLASSES)
    names = tuple(map(str, labels))
    return Dataset("many", images, labels, images[:50], labels[:50], names, (0.5,) * 3, (0.2,) * 3)


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Empty caches of both libraries, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return tmp_path


def fill_timm(cache, name):
    torch.manual_seed(0)
    model = timm.create_model(name)
    repository = f"models--timm--{model.pretrained_cfg['architecture']}"
    repository += f".{model.pretrained_cfg['tag']}"
    snapshot = cache / "hub" / repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (cache / "hub" / repository / "refs").mkdir()
    (cache / "hub" / repository / "refs" / "main").write_text("abc")
    save_file(model.state_dict(), snapshot / "model.safetensors")
    config = {"architecture": name, "num_classes": CLASSES, "pretrained_cfg": {}}
    (snapshot / "config.json").write_text(json.dumps(config))
    return model


def entries(folder, factory, more=""):
    text = f'[[model]]\nname = "one"\nfactory = "{factory}"\nweights = "pretrained"\n{more}'
    (folder / "models.toml").write_text(text)
    return read_list(folder / "models.toml")


def test_weights_of_timm_come_from_its_cache(caches, many):
    there = fill_timm(caches, "test_resnet").eval()
    (entry,) = entries(caches, "timm:test_resnet")
    found = load_checkpoint(entry, many)
    mean = there.pretrained_cfg["mean"]
    assert found.config.mean == tuple(mean)
    assert "one: weights test_resnet" in found.notes[0]
    again = load_checkpoint(*entries(caches, "timm:test_resnet", "mean = 0.5\nstd = 0.5"), many)
    assert again.config.mean == (0.5,) * 3


def test_weights_of_torchvision_come_from_its_cache(caches, many):
    torch.manual_seed(0)
    model = torchvision.models.get_model("squeezenet1_1")
    url = torchvision.models.get_model_weights("squeezenet1_1").DEFAULT.url
    folder = caches / "torch/hub/checkpoints"
    folder.mkdir(parents=True)
    torch.save(model.state_dict(), folder / url.rpartition("/")[2])
    (entry,) = entries(caches, "torchvision:squeezenet1_1")
    found = load_checkpoint(entry, many)
    assert found.config.mean == (0.485, 0.456, 0.406)
    # It sees what it would be given by torchvision.
    weights = read_pretrained("", "torchvision:squeezenet1_1", CLASSES).weights
    assert all(weights[name].equal(t) for name, t in model.state_dict().items())


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("timm:test_resnet", r"not in the cache and cannot be fetched .*timm\.create_model"),
        ("torchvision:squeezenet1_1", r"not in the cache and cannot be fetched .*TORCH_HOME"),
        ("timm:no_such_model", "timm has no model no_such_model"),
        ("torchvision:no_such_model", "torchvision has no model no_such_model"),
        ("resnet", "weights = 'pretrained' is for timm:NAME and torchvision:NAME"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_line(caches, many, factory, message):
    with pytest.raises(UserError, match=message) as found:
        load_checkpoint(*entries(caches, factory), many)
    assert "\n" not in str(found.value)


def test_weights_for_other_classes_are_refused(caches, digits):
    fill_timm(caches, "test_resnet")
    with pytest.raises(UserError, match="tell 1,000 classes apart, the data set has 10"):
        load_checkpoint(*entries(caches, "timm:test_resnet"), digits)
