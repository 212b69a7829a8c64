"""Files of weights: nothing in them is run, and whatever they are, the answer is one line."""

import os
import pickle
import random
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dbray.errors import UserError
from dbray.own.weights import read_weights
from dbray.study.checkpoints import Entry, load_checkpoint, read_list

STATE = {"1.weight": torch.zeros(10, 64), "1.bias": torch.arange(10.0)}
FUZZ_SECONDS = 2.5  # a kind of file


def small(*, input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


class RunsCode:
    def __reduce__(self):
        return (Path.touch, (Path("it_ran"),))


class RunsCommand:
    def __reduce__(self):
        return (os.system, ("touch it_ran",))


@pytest.mark.parametrize("code", [RunsCode, RunsCommand])
def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path, monkeypatch, code):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"w": code()}))
    torch.save({"w": code()}, tmp_path / "evil2.pt")
    torch.save({"w": code()}, tmp_path / "evil.safetensors")
    for name in ("evil.pt", "evil2.pt", "evil.safetensors"):
        with pytest.raises(UserError, match=r"no plain state dict") as caught:
            read_weights(tmp_path / name)
        assert str(caught.value).isprintable()
        assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "it_ran").exists()


def test_lightnings_files_say_how_weights_are_exported(tmp_path):
    torch.save({"state_dict": STATE, "hyper_parameters": {"path": Path("x")}}, tmp_path / "a.ckpt")
    said = r'hold pathlib\.PosixPath.*load_from_checkpoint\("a\.ckpt"\); torch\.save\('
    with pytest.raises(UserError, match=said):
        read_weights(tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"not a checkpoint", "no plain state dict: the file is damaged, not complete or of"),
        (b"\x80\x02}q\x00.", "no plain state dict"),
        (b"PK\x03\x04 and no more", "no plain state dict"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b"<html><body>404", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a pointer of Git LFS"),
        (b"\x1b[31m\x07\x9b", "no plain state dict"),
        (pickle.dumps({"w": [1, 2]}), "no plain state dict|more than tensors"),
    ],
)
def test_files_that_are_no_weights(tmp_path, data, message):
    (tmp_path / "w.pt").write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        read_weights(tmp_path / "w.pt")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("data", [b"", b"x", b"\xff" * 20, (99).to_bytes(8, "little") + b"{}"])
def test_files_that_are_no_safetensors(tmp_path, data):
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(UserError, match="no safetensors file"):
        read_weights(tmp_path / "w.safetensors")


def test_files_that_are_cut_off(tmp_path):
    torch.save(STATE, tmp_path / "w.pt")
    save_file(STATE, tmp_path / "w.safetensors")
    for name in ("w.pt", "w.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for share in (0.1, 0.5, 0.99):
            (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
            with pytest.raises(UserError, match=r"no plain state dict|no safetensors file"):
                read_weights(tmp_path / name)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    places = {"": "is a folder", "pipe": "is no regular file", "none": "there is no such file"}
    for name, message in {**places, "loop": "no such file", "n" * 300: "cannot be read"}.items():
        with pytest.raises(UserError, match=message):
            read_weights(tmp_path / name)


def test_a_program_of_torch_is_no_state_dict(tmp_path):
    program = torch.export.export(small(input_shape=None, classes=10), (torch.zeros(2, 8, 8),))
    torch.export.save(program, tmp_path / "program.pt2")
    with pytest.raises(UserError, match=r"no plain state dict|more than tensors"):
        read_weights(tmp_path / "program.pt2")


def broken(data: bytes, rng: random.Random) -> bytes:
    """A file with some bytes flipped, left out, doubled, or without its end."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        place, length = rng.randrange(len(data)), rng.choice((1, 4, 100))
        match rng.randrange(4):
            case 0 if place < len(changed):
                changed[place] ^= 1 << rng.randrange(8)
            case 1:
                del changed[place : place + length]
            case 2:
                changed[place:place] = changed[place : place + length]
            case _:
                changed[place : place + length] = rng.randbytes(length)
    return bytes(changed[: rng.randrange(len(data))] if rng.random() < 0.1 else changed)


LIST = f"""
[[model]]
name = "mine"
factory = "{__name__}:small"
weights = "w.pt"
mean = [0.5]
std = [0.2]
output = "logits"
"""


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "list.toml"])
def test_broken_files_are_refused_in_one_line_or_read(tmp_path, digits, name):
    path, rng = tmp_path / name, random.Random(0)
    if name == "w.pt":
        torch.save({"state_dict": STATE, "epoch": 3}, path)
    elif name == "w.safetensors":
        save_file(STATE, path)
    else:
        path.write_text(LIST)
    whole, said = path.read_bytes(), []
    mine = Entry("mine", f"{__name__}:small", path, "mine")
    end = time.monotonic() + FUZZ_SECONDS
    for _ in range(400):
        path.write_bytes(broken(whole, rng))
        try:
            read_list(path) if name == "list.toml" else load_checkpoint(mine, digits)
        except UserError as error:
            said.append(str(error))
        if time.monotonic() > end:
            break
    assert said
    assert all(line.isprintable() and "weights_only" not in line for line in said)
