"""Distillation: losses by hand, students that approach their teachers, and no use of labels."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dbray.architectures import build_model
from dbray.config import DistillationConfig, TrainingConfig
from dbray.training import Teacher
from dbray.training.objective import distillation_loss, label_loss, teacher_loss
from dbray.training.training import train

CPU = torch.device("cpu")
QUICK = TrainingConfig(
    epochs=3, batch_size=64, optimizer="adamw", learning_rate=5e-3, crop_padding=1, flip=False
)


def taught_by(loss, temperature=4.0):
    return DistillationConfig("", "", loss=loss, temperature=temperature)


def softmax(logits, heat):
    powers = [math.exp(value / heat) for value in logits]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("heat", [1.0, 4.0])
def test_soft_outputs_by_hand(heat):
    taught, own = [[2.0, 0.0, -1.0], [0.0, 3.0, 1.0]], [[1.0, 1.0, 0.0], [2.0, -1.0, 0.5]]
    expected = 0.0
    for t_row, s_row in zip(taught, own, strict=True):
        p, q = softmax(t_row, heat), softmax(s_row, heat)
        expected += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / 2
    loss = distillation_loss(torch.tensor(taught), taught_by("kl", heat))
    assert float(loss(torch.tensor(own))) == pytest.approx(heat**2 * expected, rel=1e-5)


logits = st.lists(st.integers(-80, 80).map(lambda n: n / 10), min_size=6, max_size=6)


@given(logits, logits, st.floats(0.5, 10), st.floats(-5, 5))
def test_soft_outputs_are_matched_by_the_teachers_own_and_by_no_better(taught, own, heat, shift):
    teacher, student = (torch.tensor(v).reshape(2, 3) for v in (taught, own))
    loss = distillation_loss(teacher, taught_by("kl", heat))
    same = (teacher + shift).requires_grad_()  # a softmax does not see a shift
    value = loss(same)
    value.backward()
    assert abs(float(value.detach())) < 1e-3
    assert same.grad.abs().max() < 1e-4
    assert loss(student) > -1e-3


@given(logits, logits)
def test_hard_labels_are_the_teachers_arg_max(taught, own):
    teacher, student = (torch.tensor(v).reshape(2, 3) for v in (taught, own))
    given = distillation_loss(teacher, taught_by("hard"))(student)
    classes = [max(range(3), key=taught[3 * row : 3 * row + 3].__getitem__) for row in range(2)]
    by_hand = sum(
        -math.log(softmax(own[3 * row : 3 * row + 3], 1)[c]) for row, c in enumerate(classes)
    )
    assert float(given) == pytest.approx(by_hand / 2, rel=1e-4, abs=1e-5)
    assert given == nn.functional.cross_entropy(student, torch.tensor(classes))


def test_squared_error_of_the_logits_by_hand():
    loss = distillation_loss(torch.tensor([[1.0, 2.0], [0.0, -1.0]]), taught_by("mse"))
    assert float(loss(torch.tensor([[0.0, 2.0], [3.0, 1.0]]))) == (1 + 0 + 9 + 4) / 4


def test_labels_may_be_classes_or_probabilities():
    own = torch.tensor([[1.0, 0.0], [0.5, 2.0]])
    classes = label_loss(torch.tensor([0, 1]))(own)
    assert classes == label_loss(torch.eye(2))(own)
    half = label_loss(torch.full((2, 2), 0.5))(own)
    other = label_loss(torch.tensor([1, 0]))(own)
    assert float(half) == pytest.approx(float(classes + other) / 2)


def test_a_teacher_is_asked_on_the_students_inputs_and_learns_nothing():
    model = nn.Linear(4, 3)
    inputs, own = torch.randn(5, 4), torch.randn(5, 3, requires_grad=True)
    teacher_loss(Teacher(model, taught_by("mse")), inputs)(own).backward()
    assert model.weight.grad is None
    expected = 2 * (own - model(inputs)).detach() / own.numel()
    torch.testing.assert_close(own.grad, expected)


@pytest.fixture(scope="module")
def teacher(digits):
    torch.set_num_threads(1)
    model = build_model("resnet", input_shape=(1, 8, 8), classes=10, seed=7)
    train(model, digits, QUICK, data_seed=7, device=CPU)
    return model


def student_of(teacher, data, loss, epochs=3):
    torch.set_num_threads(1)
    model = build_model("mlp", input_shape=(1, 8, 8), classes=10, seed=0)
    config = replace(QUICK, epochs=epochs)
    taught = Teacher(teacher, taught_by(loss))
    history = train(model, data, config, data_seed=0, device=CPU, teacher=taught)
    return model, history


@torch.inference_mode()
def agreement(one, other, data):
    inputs = torch.from_numpy(data.normalise(data.test_images))
    return float((one(inputs).argmax(1) == other(inputs).argmax(1)).float().mean())


@pytest.mark.parametrize("loss", ["kl", "hard", "mse"])
def test_a_student_comes_to_agree_with_its_teacher(digits, teacher, loss):
    untrained = build_model("mlp", input_shape=(1, 8, 8), classes=10, seed=0).eval()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    student, history = student_of(teacher, digits, loss)
    assert agreement(student, teacher, digits) > agreement(untrained, teacher, digits) + 0.4
    assert history[-1].train_loss < history[0].train_loss
    after = teacher.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_labels_do_not_reach_a_student(digits, teacher):
    shuffled = np.random.default_rng(0).permutation(digits.train_labels)
    with_others = replace(digits, train_labels=shuffled)
    first, history = student_of(teacher, digits, "kl", epochs=1)
    second, other_history = student_of(teacher, with_others, "kl", epochs=1)
    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert history[0].train_loss == other_history[0].train_loss
    assert history[0].train_accuracy != other_history[0].train_accuracy


def test_a_students_bits_follow_its_teacher(digits, teacher):
    other = build_model("resnet", input_shape=(1, 8, 8), classes=10, seed=8).eval()
    first, _ = student_of(teacher, digits, "kl", epochs=1)
    second, _ = student_of(other, digits, "kl", epochs=1)
    weights = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert not all(torch.equal(one, two) for one, two in weights)
