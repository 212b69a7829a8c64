"""Models that were trained elsewhere: which weights are loaded and how, and which are refused."""

import argparse
import warnings

import pytest
import torch
from own_models import (
    HERE,
    OTHER,
    STATE,
    assert_same,
    entry,
    label_maps,
    lazy,
    masked,
    net,
    normed,
    prefixed,
    rebuilt,
    stored,
    tied,
)
from safetensors.torch import load, save_file, save_model
from torch import nn

from dbray.architectures import build_model
from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.study.checkpoints import load_checkpoint

FITTING = {
    "plain": STATE,
    "data parallel": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "compiled, then parallel": prefixed("module._orig_mod."),
    "parallel, then compiled": prefixed("_orig_mod.module."),
    "lightning": {"state_dict": prefixed("model."), "hyper_parameters": {"lr": 0.1}},
    "lightning, compiled": {"state_dict": prefixed("model._orig_mod.")},
    "every prefix twice": prefixed("model.module._orig_mod." * 2),
    "a part is compiled": {n.replace("4.", "4._orig_mod."): t for n, t in STATE.items()},
    "sharded": prefixed("_fsdp_wrapped_module."),
    "torch's reference": {"model": STATE, "optimizer": {"state": {}}, "epoch": 9},
    "net": {"net": prefixed("module."), "acc": 95.1},
    "wrapped twice": {"model": {"state_dict": STATE}, "epoch": 3},
    "a wrapper of another name": {"classifier_weights": STATE, "epoch": 3},
    "other tensors beside it": {"state_dict": STATE, "rng": {"cpu": torch.zeros(3)}},
    "parameters": {n: nn.Parameter(t) if t.is_floating_point() else t for n, t in STATE.items()},
    "doubles": {n: t.double() if t.is_floating_point() else t for n, t in STATE.items()},
    "int32": {n: t if t.is_floating_point() else t.int() for n, t in STATE.items()},
    "numbers as arrays of one": {n: t.reshape(1) if not t.ndim else t for n, t in STATE.items()},
    "not contiguous": {n: t.t().contiguous().t() if t.ndim == 2 else t for n, t in STATE.items()},
}


@pytest.mark.parametrize("form", FITTING)
def test_every_form_of_a_state_dict_gives_the_same_trial(tmp_path, digits, form):
    found, model = stored(tmp_path, digits, FITTING[form])
    assert_same(load(found.weights), STATE)
    torch.save(STATE, tmp_path / "w.pt")
    again = load_checkpoint(entry(tmp_path), digits)
    assert again.config == found.config
    assert (label_maps(model, digits) == label_maps(net(), digits)).all()


@pytest.mark.parametrize("name", ["w.safetensors", "w.bin", "w.pt", "w"])
def test_safetensors_are_known_by_their_content(tmp_path, digits, name):
    save_file(STATE, tmp_path / name)
    found = load_checkpoint(entry(tmp_path, weights=name), digits)
    assert_same(load(found.weights), STATE)


def test_a_state_dict_is_known_whatever_its_name(tmp_path, digits):
    torch.save(STATE, tmp_path / "w.safetensors")
    found = load_checkpoint(entry(tmp_path, weights="w.safetensors"), digits)
    assert_same(load(found.weights), STATE)


@pytest.mark.parametrize("prefix", ["model.", "module.model.", "model.module.", "model._orig_mod."])
def test_prefixes_that_the_model_has_itself_stay(tmp_path, digits, prefix):
    found, _ = stored(tmp_path, digits, prefixed(prefix), f"{HERE}:inner")
    assert_same(load(found.weights), prefixed("model."))


def test_half_precision_is_taken_as_torch_takes_it(tmp_path, digits):
    for dtype in (torch.float16, torch.bfloat16):
        halves = {n: t.to(dtype) if t.is_floating_point() else t for n, t in STATE.items()}
        found, _ = stored(tmp_path, digits, halves)
        assert_same(load(found.weights), {n: t.to(STATE[n].dtype) for n, t in halves.items()})


def test_checkpoints_from_before_batches_were_counted(tmp_path, digits):
    old = {name: t for name, t in STATE.items() if "num_batches" not in name}
    found, model = stored(tmp_path, digits, prefixed("module.", old))
    assert_same({n: load(found.weights)[n] for n in old}, old)
    assert (label_maps(model, digits) == label_maps(net(), digits)).all()


def test_one_of_tied_weights_is_enough_in_safetensors_only(tmp_path, digits):
    model = tied(input_shape=(1, 8, 8), classes=10)
    save_model(model, str(tmp_path / "w.safetensors"))
    found = load_checkpoint(entry(tmp_path, f"{HERE}:tied", "w.safetensors"), digits)
    assert_same(load(found.weights), model.state_dict())
    both, _ = stored(tmp_path, digits, model.state_dict(), f"{HERE}:tied")
    assert both.config == found.config
    one = {"a.weight": model.a.weight.detach()}
    with pytest.raises(UserError, match=r"1 tensor is missing, b\.weight$"):
        stored(tmp_path, digits, one, f"{HERE}:tied")
    with pytest.raises(UserError, match="is it one tensor with another, which differs"):
        stored(tmp_path, digits, {**one, "b.weight": 2 * one["a.weight"]}, f"{HERE}:tied")


def test_masks_and_other_buffers_are_kept(tmp_path, digits):
    state = masked(input_shape=(1, 8, 8), classes=10).state_dict()
    state["seen"] += 7
    found, _ = stored(tmp_path, digits, state, f"{HERE}:masked")
    assert_same(load(found.weights), state)


def test_lazy_layers(tmp_path, digits):
    model = lazy(input_shape=(1, 8, 8), classes=10)
    model(torch.zeros(1, 1, 8, 8))
    found, _ = stored(tmp_path, digits, model.state_dict(), f"{HERE}:lazy")
    assert_same(load(found.weights), model.state_dict())


def test_older_names_that_a_layer_knows(tmp_path, digits):
    model = normed(input_shape=(1, 8, 8), classes=10)
    kept = model.state_dict()
    new = "1.parametrizations.weight.original"
    old = {"1.bias": kept["1.bias"], "1.weight_g": kept[f"{new}0"], "1.weight_v": kept[f"{new}1"]}
    found, _ = stored(tmp_path, digits, old, f"{HERE}:normed")
    assert_same(load(found.weights), kept)


def test_other_weights_are_another_trial(tmp_path, digits):
    found = [stored(tmp_path, digits, state)[0].config.trial_id for state in (STATE, OTHER)]
    assert len(set(found)) == 2


def test_of_several_sets_of_weights_the_list_says_which(tmp_path, digits):
    both = {"state_dict": STATE, "state_dict_ema": OTHER, "epoch": 3}
    with pytest.raises(UserError, match=r'state_dict, state_dict_ema; .*key = "state_dict"$'):
        stored(tmp_path, digits, both)
    for key in ("state_dict", "state_dict_ema"):
        found, _ = stored(tmp_path, digits, both, key=key)
        assert_same(load(found.weights), both[key])
    found, _ = stored(
        tmp_path, digits, {"ema": {"inside": OTHER}, "model": STATE}, key="ema.inside"
    )
    assert_same(load(found.weights), OTHER)


@pytest.mark.parametrize(
    ("contents", "key", "message"),
    [
        (STATE, "state_dict", "hold one set of weights; leave key = 'state_dict' out"),
        ({"state_dict": STATE, "epoch": 3}, "ema", "have no 'ema'; there is epoch, state_dict$"),
        ({"state_dict": STATE, "epoch": 3}, "epoch", "'epoch' holds no weights"),
        ({"a": STATE, "b": OTHER}, "", 'several sets of weights, a, b; .* key = "a"'),
    ],
)
def test_keys_that_are_not_there_or_needed(tmp_path, digits, contents, key, message):
    with pytest.raises(UserError, match=message):
        stored(tmp_path, digits, contents, key=key)


def changed(name, tensor):
    return {**STATE, name: tensor}


WEIGHT = STATE["4.weight"]
REFUSED = {
    "other names": (prefixed("x."), "9 tensors are missing, 1.bias first; 9 tensors are unknown"),
    "extra": ({**STATE, "total_ops": torch.zeros(1)}, "1 tensor is unknown to it, total_ops"),
    "other shape": (changed("4.weight", torch.zeros(3, 24)), r"4\.weight has shape \(3, 24\)"),
    "transposed": (changed("4.weight", WEIGHT.t().clone()), r"has shape \(24, 10\), the model"),
    "int8": (changed("4.weight", WEIGHT.to(torch.int8)), "holds int8, the model's is float32"),
    "int64": (changed("4.weight", WEIGHT.long()), "holds int64, the model's is float32"),
    "bool": (changed("4.bias", torch.ones(10, dtype=torch.bool)), "holds bool, the model's"),
    "complex": (changed("4.weight", WEIGHT.to(torch.complex64)), "holds complex64"),
    "float8": (changed("4.weight", WEIGHT.to(torch.float8_e4m3fn)), "holds float8_e4m3fn"),
    "sparse": (changed("4.weight", WEIGHT.to_sparse()), "is sparse or nested"),
    "meta": (changed("4.weight", WEIGHT.to("meta")), "meta, without values"),
    "NaN": (changed("4.bias", torch.full((10,), torch.nan)), r"4\.bias holds 10 values that"),
    "infinite": (
        changed("2.running_var", torch.full((24,), torch.inf)),
        "running_var holds 24 values that are not finite",
    ),
    "too large": (
        changed("4.bias", torch.full((10,), 1e300, dtype=torch.float64)),
        "too large for float32",
    ),
    "float counter": (
        {**STATE, "2.num_batches_tracked": torch.tensor(0.5)},
        "holds float32, the model's is int64",
    ),
    "a number beside": ({**STATE, "epoch": 3}, "hold more than tensors by name"),
    "a list": (list(STATE.values()), "hold more than tensors by name"),
    "empty": ({}, "hold more than tensors by name"),
    "namespace": ({"state_dict": STATE, "args": argparse.Namespace()}, r"hold argparse\.Namespace"),
    "numpy": ({n: t.numpy() for n, t in STATE.items()}, "hold numpy"),
    "module": (
        net(),
        r"hold torch\.nn\.modules.*; export the weights alone .*torch\.save\(model\.",
    ),
}


@pytest.mark.parametrize("form", REFUSED)
def test_weights_that_are_refused_in_one_line(tmp_path, digits, form):
    contents, message = REFUSED[form]
    with pytest.raises(UserError, match=message) as caught:
        stored(tmp_path, digits, contents)
    assert str(caught.value).isprintable()
    assert "weights_only" not in str(caught.value)


def test_quantized_weights_are_refused(tmp_path, digits):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = torch.quantize_per_tensor(WEIGHT, 0.1, 0, torch.qint8)
        torch.save({**STATE, "4.weight": quantized}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"is quantized|no plain state dict"):
        load_checkpoint(entry(tmp_path), digits)


@pytest.mark.parametrize("factory", ["timm:resnet10t", "torchvision:squeezenet1_1"])
def test_models_of_libraries_by_name(tmp_path, factory):
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(256, (6, 3, 32, 32), generator=rng, dtype=torch.uint8).numpy()
    labels = torch.arange(6).numpy()
    data = Dataset("d", images, labels, images, labels, tuple("abcdef"), (0.5,) * 3, (0.2,) * 3)
    model = build_model(factory, input_shape=(3, 32, 32), classes=6, seed=0)
    found, _ = stored(tmp_path, data, model.state_dict(), factory)
    assert found.config.architecture == factory
    assert_same(load(found.weights), model.state_dict())


@pytest.mark.parametrize("preferred", [True, False])
@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("name", ["vit", "resnet18k"])
def test_weights_of_the_first_studies_fit_as_the_papers_do(
    tmp_path, digits, name, published, preferred
):
    model = build_model(name, input_shape=(1, 8, 8), classes=10, seed=0, published=published)
    torch.save({"state_dict": prefixed("module.", model.state_dict())}, tmp_path / "w.pt")
    found = load_checkpoint(entry(tmp_path, name), digits, published=preferred)
    assert found.config.published == published
    checkpoint, read = rebuilt(found, digits)
    assert_same(load(checkpoint.weights), model.state_dict())
    assert (label_maps(read, digits) == label_maps(model.eval(), digits)).all()


@pytest.mark.parametrize("published", [True, False])
def test_where_weights_do_not_tell_the_study_does(tmp_path, digits, published):
    model = build_model("mixer", input_shape=(1, 8, 8), classes=10, seed=0)
    torch.save(model.state_dict(), tmp_path / "w.pt")
    found = load_checkpoint(entry(tmp_path, "mixer"), digits, published=published)
    assert found.config.published == published


def test_weights_of_neither_are_refused_as_the_papers(tmp_path, digits):
    state = build_model("vit", input_shape=(1, 8, 8), classes=10, seed=0).state_dict()
    torch.save({name: t for name, t in state.items() if name != "head.bias"}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"1 tensor is missing, head\.bias"):
        load_checkpoint(entry(tmp_path, "vit"), digits)
