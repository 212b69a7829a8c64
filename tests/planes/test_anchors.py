"""Anchors: which images span a plane of each kind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbray.config import NoiseConfig
from dbray.datasets import Dataset
from dbray.errors import UserError
from dbray.planes import (
    PLANE_KINDS,
    Anchors,
    PlaneSource,
    anchors_frame,
    check_planes,
    frames_of,
    parse_plane_id,
    plane_anchors,
    plane_ids_of,
    plane_kind,
)
from dbray.planes.anchors import NO_IMAGE

NOISE = NoiseConfig(0.2)
DRAWN = tuple(kind for kind in PLANE_KINDS if kind not in ("adversarial", "chosen"))


def drawn(dataset, kind, count=20, seed=0, **options):
    source = PlaneSource(seed, noise=NOISE, **options)
    return [plane_anchors(dataset, plane_id, source) for plane_id in plane_ids_of(kind, count)]


def colour_dataset(side=(6, 6)):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (12, 3, *side), dtype=np.uint8)
    labels = np.arange(12) % 4
    names = tuple("abcd")
    return Dataset("colour", images, labels, images, labels, names, (0.5,) * 3, (0.2,) * 3)


def pixels(image):
    """The colours of an image, as a sorted list of channel triples."""
    return sorted(map(tuple, image.reshape(len(image), -1).T.tolist()))


def test_the_first_planes_are_what_they_always_were(digits):
    # Frozen: a change of these would make every stored study another one.
    assert plane_anchors(digits, 2, PlaneSource()).image_ids == (103, 350, 29)
    assert plane_anchors(digits, 1_000_002, PlaneSource()).image_ids == (15, 183, 11)


@pytest.mark.parametrize("kind", DRAWN)
def test_a_plane_depends_on_its_id_and_the_seed_alone(digits, kind):
    some, again = drawn(digits, kind, 3), drawn(digits, kind, 6)[:3]
    for one, other in zip(some, again, strict=True):
        assert one.image_ids == other.image_ids
        np.testing.assert_array_equal(one.images, other.images)
    others = drawn(digits, kind, 3, seed=1)
    assert any((a.images != b.images).any() for a, b in zip(some, others, strict=True))
    assert len({a.images.tobytes() for a in some}) == 3


@pytest.mark.parametrize("kind", DRAWN)
def test_anchors_of_every_kind_span_a_plane_of_images(digits, kind):
    for anchors in drawn(digits, kind):
        assert anchors.images.shape == (3, 1, 8, 8)
        assert anchors.images.dtype == np.uint8
        assert anchors_frame(digits, anchors).anchors[2, 1] > 0


def test_test_planes_have_three_classes(digits):
    for anchors in drawn(digits, "test", 100):
        assert len(set(anchors.classes)) == 3
        assert tuple(digits.test_labels[list(anchors.image_ids)]) == anchors.classes
        np.testing.assert_array_equal(anchors.images, digits.test_images[list(anchors.image_ids)])


def test_train_planes_are_of_training_images(digits):
    for anchors in drawn(digits, "train"):
        np.testing.assert_array_equal(anchors.images, digits.train_images[list(anchors.image_ids)])
        assert tuple(digits.train_labels[list(anchors.image_ids)]) == anchors.classes


def test_uniform_anchors_are_uniform_noise():
    found = drawn(colour_dataset(), "uniform", 60)
    values = np.concatenate([anchors.images.ravel() for anchors in found])
    counts = np.bincount(values // 32, minlength=8)
    assert (np.abs(counts / len(values) - 1 / 8) < 0.01).all()
    assert {anchors.image_ids for anchors in found} == {(NO_IMAGE,) * 3}
    assert {anchors.classes for anchors in found} == {(NO_IMAGE,) * 3}


def test_shuffled_anchors_keep_their_colours_and_lose_their_places():
    data = colour_dataset()
    for anchors in drawn(data, "shuffled", 5):
        assert anchors.classes == (NO_IMAGE,) * 3
        for image, image_id in zip(anchors.images, anchors.image_ids, strict=True):
            assert pixels(image) == pixels(data.test_images[image_id])
            assert (image != data.test_images[image_id]).any()


def test_each_shuffled_anchor_has_an_order_of_its_own():
    counting = np.arange(36, dtype=np.uint8).reshape(1, 1, 6, 6).repeat(5, axis=0)
    data = Dataset(
        "counting", counting, np.arange(5), counting, np.arange(5), tuple("abcde"), (0.0,), (1.0,)
    )
    (anchors,) = drawn(data, "shuffled", 1)
    assert len({image.tobytes() for image in anchors.images}) == 3


def test_mixed_anchors_are_one_image_and_two_shuffled():
    data = colour_dataset()
    for anchors in drawn(data, "mixed", 5):
        first = anchors.image_ids[0]
        np.testing.assert_array_equal(anchors.images[0], data.test_images[first])
        assert anchors.classes == (data.test_labels[first], NO_IMAGE, NO_IMAGE)
        for image, image_id in zip(anchors.images[1:], anchors.image_ids[1:], strict=True):
            assert pixels(image) == pixels(data.test_images[image_id])


def grey_with_noise(**options):
    """The noise of a gaussian plane's second and third anchor, in units of pixels."""
    grey = np.full((4, 3, 20, 20), 128, np.uint8)
    grey[np.arange(4), 0, 0, 0] = np.arange(4)
    std = (0.2, 0.1, 0.3)
    data = Dataset("grey", grey, np.arange(4), grey, np.arange(4), tuple("abcd"), (0.5,) * 3, std)
    (anchors,) = drawn(data, "gaussian", 1, **options)
    (image_id,) = set(anchors.image_ids)
    np.testing.assert_array_equal(anchors.images[0], grey[image_id])
    assert anchors.classes == (image_id,) * 3
    noise = anchors.images[1:].astype(float) - grey[image_id]
    assert abs(noise.mean()) < 2
    assert (anchors.images[1] != anchors.images[2]).any()
    return noise, std


def test_gaussian_anchors_have_noise_of_a_half_and_a_quarter_in_units_of_inputs():
    noise, std = grey_with_noise()
    for channel, per_input in enumerate(std):
        inputs = noise[:, channel] / 255 / per_input
        left = 0.96  # of the standard deviation, by a cut at two of them
        assert inputs[0].std() == pytest.approx(0.5 * left, rel=0.1)
        assert inputs[1].std() == pytest.approx(0.25 * left, rel=0.1)
        rounding = 0.5 / 255 / per_input
        assert np.abs(inputs[0, 1:]).max() <= 1 + rounding
        assert np.abs(inputs[1, 1:]).max() <= 0.5 + rounding


def test_gaussian_anchors_of_the_first_studies_have_a_tenth_of_noise():
    noise, _ = grey_with_noise(published=False)
    assert noise.std() == pytest.approx(25.5, rel=0.06)


def test_rotated_anchors_are_turned_by_quarters():
    data = colour_dataset()
    (anchors,) = drawn(data, "rotated", 1)
    image = data.test_images[anchors.image_ids[0]]
    # A quarter turn to the left brings the right edge to the top.
    np.testing.assert_array_equal(anchors.images[1][:, 0], image[:, :, -1])
    np.testing.assert_array_equal(anchors.images[2], image[:, ::-1, ::-1])


def test_images_that_are_not_square_cannot_be_rotated():
    with pytest.raises(UserError, match="rotated need square images, and these have 8x6"):
        drawn(colour_dataset((6, 8)), "rotated", 1)


def test_chosen_planes_go_through_the_images_asked_for(digits):
    source = PlaneSource(chosen=((30, 72, 42), (3, 2, 1)))
    anchors = plane_anchors(digits, plane_ids_of("chosen", 2)[1], source)
    assert anchors.image_ids == (3, 2, 1)
    np.testing.assert_array_equal(anchors.images, digits.test_images[[3, 2, 1]])
    with pytest.raises(UserError, match=r"image 360: .*test images 0 to 359"):
        check_planes(digits, {}, PlaneSource(chosen=((0, 1, 360),)))
    with pytest.raises(UserError, match="images 4, 4, 5: span no plane"):
        check_planes(digits, {}, PlaneSource(chosen=((4, 4, 5),)))


def test_adversarial_planes_are_those_that_were_stored(digits):
    made = Anchors((5, 5, 5), (1, 1, 1), digits.test_images[:3])
    source = PlaneSource(adversarial=(made,))
    assert plane_anchors(digits, plane_ids_of("adversarial", 1)[0], source) is made


def test_frames_come_one_at_a_time_from_normalised_images(digits):
    (frame,) = frames_of(digits, [1_000_000], PlaneSource())
    anchors = plane_anchors(digits, 1_000_000, PlaneSource())
    expected = digits.normalise(anchors.images).reshape(3, -1)
    np.testing.assert_allclose(frame.origin + frame.anchors @ frame.axes, expected, atol=1e-5)


@given(st.sampled_from(PLANE_KINDS), st.integers(0, 999_999))
def test_an_id_tells_its_kind_and_its_number(kind, number):
    plane_id = parse_plane_id(f"{kind}:{number}")
    assert plane_kind(plane_id) == kind
    assert plane_id == parse_plane_id(str(plane_id)) == plane_ids_of(kind, number + 1)[-1]


@pytest.mark.parametrize("text", ["", "x", "-1", "train:", "train:x", "nothing:3", "11000000"])
def test_what_is_no_plane(text):
    with pytest.raises(UserError, match="plane"):
        parse_plane_id(text)


def tiny_dataset(images, labels):
    images = np.asarray(images, np.uint8).reshape(len(images), 1, 1, -1)
    labels = np.asarray(labels, np.int64)
    names = tuple(str(i) for i in range(int(labels.max()) + 1))
    return Dataset("tiny", images, labels, images, labels, names, (0.0,), (1.0,))


def test_two_classes_cannot_span_test_planes():
    data = tiny_dataset([[0, 0], [1, 0], [0, 1], [1, 1]], [0, 1, 0, 1])
    with pytest.raises(UserError, match="different classes"):
        check_planes(data, {"test": 1}, PlaneSource())


def test_images_that_are_all_equal_span_no_plane():
    data = tiny_dataset([[3, 3]] * 5, [0, 1, 2, 3, 4])
    with pytest.raises(UserError, match="equal"):
        check_planes(data, {"test": 1}, PlaneSource())


def test_a_degenerate_triple_is_drawn_again():
    data = tiny_dataset([[0, 0], [0, 0], [5, 0], [0, 5]], [0, 1, 2, 3])
    assert not any({0, 1} <= set(anchors.image_ids) for anchors in drawn(data, "test", 30))
