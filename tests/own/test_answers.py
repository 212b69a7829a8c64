"""What models that were trained elsewhere answer: logits in every form, probabilities, noise."""

import numpy as np
import pytest
import torch
from own_models import (
    ANSWERS,
    CPU,
    HERE,
    STATE,
    assert_same,
    entry,
    label_maps,
    net,
    prefixed,
    stored,
)
from safetensors.torch import load

from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.labelling import predict
from dbray.scores.similarity import js_divergence
from dbray.study.checkpoints import load_checkpoint


@pytest.fixture(scope="module")
def two_classes(digits):
    parts = [digits.train_images, digits.train_labels % 2, digits.test_images]
    statistics = digits.mean, digits.std
    return Dataset("two", *parts, digits.test_labels % 2, ("even", "odd"), *statistics)


@pytest.mark.parametrize("kind", list(ANSWERS)[:11])
def test_logits_are_found_in_every_usual_answer(tmp_path, digits, kind):
    found, model = stored(tmp_path, digits, prefixed("net."), f"{HERE}:out_{kind}")
    inputs = digits.normalise(digits.test_images[:50])
    expected = predict(net(), inputs, CPU)
    assert np.allclose(predict(model, inputs, CPU), expected, atol=1e-6)
    assert (label_maps(model, digits) == label_maps(net(), digits)).all()
    assert_same(load(found.weights), prefixed("net."))  # the model's own names
    assert not found.notes


@pytest.mark.parametrize(("kind", "atol"), [("softmax", 1e-6), ("half_softmax", 2e-3)])
def test_a_model_and_itself_with_a_softmax_at_its_end_agree(tmp_path, digits, kind, atol):
    found, model = stored(tmp_path, digits, prefixed("net."), f"{HERE}:out_{kind}")
    inputs = digits.normalise(digits.test_images)
    first, second = (predict(each, inputs, CPU) for each in (model, net()))
    assert np.allclose(first, second, atol=atol)
    assert js_divergence(np.stack([first]), np.stack([second])).max() < 10 * atol
    assert found.config.probabilities
    assert "logarithms" in found.notes[0]


@pytest.mark.parametrize("kind", ["one_unit", "one_unit_squeezed", "one_unit_sigmoid"])
def test_one_output_for_two_classes(tmp_path, two_classes, kind):
    state = net(classes=2).state_dict()
    said = {"probabilities": True} if kind == "one_unit_sigmoid" else {}
    factory = f"{HERE}:out_{kind}"
    found, model = stored(tmp_path, two_classes, prefixed("net.", state), factory, **said)
    inputs = two_classes.normalise(two_classes.test_images)
    expected = predict(net(classes=2), inputs, CPU)
    assert np.allclose(predict(model, inputs, CPU), expected, atol=1e-6)
    expected_map = label_maps(net(classes=2), two_classes)
    assert (label_maps(model, two_classes) == expected_map).all()
    assert "(0, z)" in found.notes[0]


@pytest.mark.parametrize(
    ("kind", "output"),
    [("two_unknown", "a"), ("tuple", "0"), ("named_tuple", "1"), ("dict", "logits")],
)
def test_the_list_says_which_output_is_the_logits(tmp_path, digits, kind, output):
    factory = f"{HERE}:out_{kind}"
    found, model = stored(tmp_path, digits, prefixed("net."), factory, output=output)
    assert found.config.output == output
    assert (label_maps(model, digits) == label_maps(net(), digits)).all()


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("map", {}, r"shape \(2, 10, 1\) for two images; \(2, 10\) was expected"),
        ("more", {}, "more outputs than the data set has classes"),
        ("fewer", {}, "fewer outputs than the data set has classes"),
        ("sigmoid", {}, "as after a sigmoid; return the logits, or .*probabilities = false"),
        ("tensor", {"probabilities": True}, "no probabilities, as the list says"),
        ("classes", {}, "gives int64 where logits are floats"),
        ("two_unknown", {}, r"a dict of a \(shape \(2, 10\)\), b .*output = NAME"),
        ("two_unknown", {"output": "c"}, "has no output 'c'"),
        ("tensor", {"output": "logits"}, "has no output 'logits': it returns one tensor"),
        ("nothing", {}, "returns a NoneType"),
        ("dropout", {}, "when the same images come again .*--allow-unstable"),
        ("noise", {}, "when the same images come again .*--allow-unstable"),
        ("batch", {}, "in another batch .*--allow-unstable"),
        ("never_alone", {}, "when an image comes alone; --allow-unstable"),
    ],
)
def test_answers_that_are_refused(tmp_path, digits, kind, more, message):
    with pytest.raises(UserError, match=message) as caught:
        stored(tmp_path, digits, prefixed("net."), f"{HERE}:out_{kind}", **more)
    assert str(caught.value).isprintable()


def test_one_sigmoid_unit_is_not_guessed(tmp_path, two_classes):
    state = prefixed("net.", net(classes=2).state_dict())
    with pytest.raises(UserError, match="probabilities = true or false"):
        stored(tmp_path, two_classes, state, f"{HERE}:out_one_unit_sigmoid")


def test_unstable_models_are_taken_where_that_is_asked(tmp_path, digits):
    torch.save(prefixed("net."), tmp_path / "w.pt")
    state = torch.random.get_rng_state()
    found = load_checkpoint(entry(tmp_path, f"{HERE}:out_dropout"), digits, allow_unstable=True)
    assert_same(load(found.weights), prefixed("net."))
    assert torch.equal(state, torch.random.get_rng_state())


def test_outputs_that_the_list_says_are_logits_stay(tmp_path, digits):
    factory = f"{HERE}:out_sigmoid"
    found, model = stored(tmp_path, digits, prefixed("net."), factory, probabilities=False)
    inputs = torch.from_numpy(digits.normalise(digits.test_images[:5]))
    torch.testing.assert_close(model(inputs), net()(inputs).sigmoid())
    assert not found.config.probabilities


@pytest.mark.parametrize(
    ("mean", "std"), [((0.0,), (1.0,)), ((0.0,), (1 / 255,)), ((0.5,), (0.2,))]
)
def test_a_model_gets_its_own_normalisation(tmp_path, digits, mean, std):
    found, model = stored(tmp_path, digits, STATE, mean=mean, std=std)
    pixels = torch.from_numpy(digits.test_images / 255).float()
    with torch.no_grad():
        expected = net()((pixels - mean[0]) / std[0])
        logits = model(torch.from_numpy(digits.normalise(digits.test_images)))
    assert torch.allclose(logits, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    assert (logits.argmax(1) == expected.argmax(1)).all()
    assert found.config.mean == mean
    plain_id = stored(tmp_path, digits, STATE)[0].config.trial_id
    assert found.config.trial_id != plain_id


def test_a_normalisation_has_a_value_for_each_channel(tmp_path, digits):
    with pytest.raises(UserError, match=r"mean has 3 values; .* digits have 1 channel$"):
        stored(tmp_path, digits, STATE, mean=(0.1, 0.2, 0.3), std=(1.0,))
