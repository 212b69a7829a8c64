"""Models that were trained elsewhere: what is read, what is refused and how it is said."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dbray.architectures import build_model
from dbray.errors import UserError
from dbray.study.checkpoints import load_checkpoint, read_list, read_weights


def model(seed=0, architecture="fcnet", shape=(1, 8, 8), classes=10):
    return build_model(architecture, input_shape=shape, classes=classes, seed=seed)


def write_list(folder: Path, *rows: str) -> Path:
    path = folder / "models.toml"
    path.write_text("\n".join(f"[[model]]\n{row}" for row in rows))
    return path


def entry(folder, factory="fcnet", weights="w.pt"):
    text = f'name = "mine"\nfactory = "{factory}"\nweights = "{weights}"'
    (found,) = read_list(write_list(folder, text))
    return found


@pytest.mark.parametrize("form", ["safetensors", "state dict", "wrapped", "data parallel"])
def test_every_form_of_weights_gives_the_same_trial(tmp_path, digits, form):
    weights = model().state_dict()
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pt")
    if form == "safetensors":
        save_file(weights, path)
    elif form == "data parallel":
        torch.save({f"module.{name}": tensor for name, tensor in weights.items()}, path)
    else:
        torch.save({"state_dict": weights, "epoch": 3} if form == "wrapped" else weights, path)
    found = load_checkpoint(entry(tmp_path, weights=path.name), digits)
    assert found.config.group == "fcnet"
    save_file(weights, tmp_path / "other.safetensors")
    again = load_checkpoint(entry(tmp_path, weights="other.safetensors"), digits)
    assert again.config == found.config
    assert again.weights == found.weights


def test_other_weights_are_another_trial(tmp_path, digits):
    ids = set()
    for seed in (0, 1):
        torch.save(model(seed).state_dict(), tmp_path / "w.pt")
        ids.add(load_checkpoint(entry(tmp_path), digits).config.trial_id)
    assert len(ids) == 2


@pytest.mark.parametrize("factory", ["timm:resnet10t", "torchvision:squeezenet1_1"])
def test_models_of_libraries_by_name(tmp_path, factory):
    from dbray.datasets import Dataset

    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (6, 3, 32, 32), generator=rng, dtype=torch.uint8).numpy()
    labels = torch.arange(6).numpy()
    names = tuple("abcdef")
    data = Dataset("d", images, labels, images, labels, names, (0.5,) * 3, (0.2,) * 3)
    torch.save(model(0, factory, (3, 32, 32), 6).state_dict(), tmp_path / "w.pt")
    assert load_checkpoint(entry(tmp_path, factory), data).config.architecture == factory


class RunsCode:
    def __reduce__(self):
        return (Path.touch, (Path("it_ran"),))


def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"w": RunsCode()}))
    torch.save({"w": RunsCode()}, tmp_path / "evil2.pt")
    for name in ("evil.pt", "evil2.pt"):
        with pytest.raises(UserError, match=r"no plain state dict") as caught:
            read_weights(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "it_ran").exists()


def test_weights_of_another_model_are_refused_by_names_and_shapes(tmp_path, digits):
    torch.save(model(0, "resnet").state_dict(), tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"do not fit fcnet: \d+ tensors are missing, .* unknown"):
        load_checkpoint(entry(tmp_path), digits)
    torch.save(model(classes=7).state_dict(), tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"has shape \(7, .*the model's is \(10, "):
        load_checkpoint(entry(tmp_path), digits)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "no such file"),
        (b"", "no plain state dict"),
        (b"not a checkpoint", "no plain state dict"),
    ],
)
def test_files_that_are_no_weights(tmp_path, data, message):
    if data is not None:
        (tmp_path / "w.pt").write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_weights(tmp_path / "w.pt")
    (tmp_path / "w.safetensors").write_bytes(data or b"x")
    with pytest.raises(UserError, match="no safetensors file"):
        read_weights(tmp_path / "w.safetensors")


def test_a_state_dict_with_more_than_tensors_is_refused(tmp_path):
    torch.save({"w": torch.zeros(1), "epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="more than tensors"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 3", "all its values must be texts"),
        ('name = "a"\nfactory = "fcnet"', "model 1 has no weights"),
        ('name = "a"\nfactory = "fcnet"\nweights = "w"\nwidth = "2"', "has width, which means"),
        ('name = "a"\nfactory = "nothing"\nweights = "w"', "architecture 'nothing' is unknown"),
        ("name = ", "is no TOML list"),
    ],
)
def test_lists_that_cannot_be(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_list(write_list(tmp_path, text))


def test_two_models_of_one_name_and_a_missing_list(tmp_path):
    row = 'name = "a"\nfactory = "fcnet"\nweights = "w"'
    with pytest.raises(UserError, match="two models are called a"):
        read_list(write_list(tmp_path, row, row))
    with pytest.raises(UserError, match="cannot be read"):
        read_list(tmp_path / "nowhere.toml")
