"""Users' models: names that are refused, and whether a training would get on with a model."""

import pytest
import torch
from torch import nn

from dbray.architectures import (
    Reading,
    build_model,
    check_trainable,
    parse_architecture,
    validate_architecture,
)
from dbray.errors import UserError, one_line

HERE = __name__
SHAPE = {"input_shape": (1, 8, 8), "classes": 10}


class Trained(nn.Module):
    """A linear model whose answer in training mode is another one."""

    def __init__(self, answer, classes):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
        self.answer = answer

    def forward(self, images):
        logits = self.net(images)
        return self.answer(logits) if self.training else logits


class Fails(torch.autograd.Function):
    @staticmethod
    def forward(_, inputs):
        return inputs.clone()

    @staticmethod
    def backward(_, _gradient):
        raise RuntimeError("no way\n\x1b[31mback")


def raises(_):
    raise RuntimeError("first\nsecond")


ANSWERS = {
    "good": lambda y: y,
    "half": lambda y: y.half(),
    "tuple": lambda y: (y, y),
    "dict": lambda y: {"logits": y},
    "wide": lambda y: torch.cat([y, y], 1),
    "raises": raises,
    "infinite": lambda y: y / 0,
    "detached": lambda y: y.detach(),
    "zero": lambda y: y * 0,
    "no_gradient": lambda y: Fails.apply(y),
    "bad_gradient": lambda y: (y * 0).sqrt() + y.detach(),
    "whole_numbers": lambda y: y.argmax(1, keepdim=True).expand(-1, 10),
}
for _kind, _answer in ANSWERS.items():
    globals()[_kind] = lambda *, input_shape, classes, answer=_answer: Trained(answer, classes)


def frozen(*, input_shape, classes):
    return Trained(lambda y: y, classes).requires_grad_(False)


def no_parameters(*, input_shape, classes):
    return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(classes))


def exits(*, input_shape, classes):
    raise SystemExit(0)


NOT_CALLABLE = 3


@pytest.mark.parametrize("name", ["fcnet", f"{HERE}:good", f"{HERE}:half", "timm:resnet10t"])
def test_what_can_be_trained_passes_and_leaves_the_generator(name):
    state = torch.random.get_rng_state()
    shape = {"input_shape": (3, 32, 32), "classes": 10} if name.startswith("timm") else SHAPE
    check_trainable(name, **shape)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tuple", "in training mode it returns a tuple; return the logits alone"),
        ("dict", "in training mode it returns a dict; return the logits alone"),
        ("wide", r"in training mode it gives logits of shape \(2, 20\)"),
        ("raises", "in training mode it fails on two images: RuntimeError: first second"),
        ("infinite", "its loss on two random images is"),
        ("detached", "depend on no parameter"),
        ("zero", "no parameter gets a gradient"),
        ("no_gradient", "its gradient fails: RuntimeError: no way back"),
        ("bad_gradient", "gradient on two random images is not finite"),
        ("whole_numbers", "depend on no parameter"),
        ("frozen", "depend on no parameter"),
        ("no_parameters", "depend on no parameter"),
        ("exits", "its factory fails: SystemExit"),
        ("NOT_CALLABLE", "NOT_CALLABLE is no function but int"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(name, message):
    with pytest.raises(UserError, match=message) as caught:
        check_trainable(f"{HERE}:{name}", **SHAPE)
    assert str(caught.value).isprintable()
    assert f"architecture {HERE}:{name}: " in str(caught.value)


def test_a_model_that_answers_more_than_logits_is_built_only_to_be_read():
    assert isinstance(build_model(f"{HERE}:tuple", **SHAPE, seed=0), nn.Module)
    model = build_model(f"{HERE}:tuple", **SHAPE, seed=0, reading=Reading())
    images = torch.randn(3, 1, 8, 8)
    assert torch.equal(model.train()(images), model.eval()(images))
    inner = build_model(f"{HERE}:tuple", **SHAPE, seed=0).state_dict()
    assert model.state_dict().keys() == inner.keys()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:resnet18@2", "models have no width to choose; leave @WIDTH out"),
        ("torchvision:resnet18@2", "models have no width to choose"),
        ("timm:hf-hub:timm/resnet18", "nothing is fetched from a hub or a folder"),
        ("timm:hf_hub:timm/resnet18", "nothing is fetched"),
        ("timm:local-dir:/tmp/model", "nothing is fetched"),
        ("torchvision:a/b", "nothing is fetched"),
    ],
)
def test_names_in_libraries_that_are_refused_at_once(name, message):
    with pytest.raises(UserError, match=message):
        parse_architecture(name)
    if "@" not in name:
        with pytest.raises(UserError, match=message):
            validate_architecture(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:resnet_18", "timm has no such model; did you mean .*resnet18"),
        ("torchvision:resnet_18", "torchvision has no such model; did you mean .*resnet18"),
        ("timm:qqqqqqqqqqq", "timm has no such model$"),
    ],
)
def test_unknown_names_in_libraries_give_the_close_ones(name, message):
    with pytest.raises(UserError, match=message):
        build_model(name, **SHAPE, seed=0)


def test_a_width_for_a_librarys_model_is_refused_when_it_is_built():
    with pytest.raises(UserError, match="no width to choose"):
        build_model("timm:resnet10t", **SHAPE, width=2, seed=0)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("a\nb\t c", "a b c"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07x", "red x"),
        ("\u202eabc\u2028d\x00", "abc d"),
        ("y" * 300, "y" * 197 + "..."),
    ],
)
def test_what_others_say_fits_into_a_line(said, line):
    assert one_line(said) == line
