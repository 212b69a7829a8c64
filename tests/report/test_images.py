"""What the page says of single test images and of ensembles is what the tables hold."""

import io
from pathlib import Path

import numpy as np
import pytest
from browser import open_page
from PIL import Image
from synthetic_study import write_scores, write_synthetic_study

from dbray.datasets import load_dataset
from dbray.report import build_report, write_report
from dbray.report.tables.images import contested_images
from dbray.store.score_schemas import ENSEMBLES, IMAGES
from dbray.study.thumbnails import write_thumbnails

# Image 7 divides the models of both groups, image 3 those of one, image 5 only the two groups.
VOTES = {
    ("resnet", 3): {1: 2, 8: 1},
    ("resnet", 5): {2: 3},
    ("resnet", 7): {1: 1, 4: 1, 9: 1},
    ("vit", 3): {8: 3},
    ("vit", 5): {6: 3},
    ("vit", 7): {4: 2, 9: 1},
}


def image_row(group, image_id, counts):
    agreeing = sum(count * (count - 1) for count in counts.values())
    about = {"group": group, "image_id": image_id, "label": 4, "models": 3, "share_right": 0.5}
    votes = {"classes": list(counts), "counts": list(counts.values())}
    return {**about, **votes, "disagreement": 1 - agreeing / 6}


def ensemble_row(group, size, measure, value, half):
    ends = {"value": value, "value_low": value - half, "value_high": value + half}
    about = {"group": group, "size": size, "measure": measure, "models": 3, "images": 360}
    return {**about, **ends, "planes_only": False}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    groups = {"resnet": 0.8, "vit": 0.6}
    study = write_synthetic_study(tmp_path_factory.mktemp("runs"), groups=groups, resolution=20)
    rows = [image_row(*place, counts) for place, counts in VOTES.items()]
    write_scores(study, "images", rows, IMAGES)
    measured = [
        ensemble_row(group, size, measure, value, half)
        for group, better in (("resnet", 0.02), ("vit", 0.05))
        for size, measure, value, half in (
            (1, "accuracy", 0.9, 0.01),
            (1, "churn", 0.1, 0.01),
            (2, "accuracy", 0.9 + better, 0.01),
            (2, "accuracy_gain", better, 0.03),
        )
    ]
    write_scores(study, "ensembles", measured, ENSEMBLES)
    return study


def test_images_are_ordered_by_disagreement_within_groups_and_counted_over_all(study):
    found = contested_images(study)
    assert [image.image_id for image in found.shown] == [7, 3]
    assert found.shown[0].counts == ((4, 3), (9, 2), (1, 1))
    assert found.shown[0].disagreement == pytest.approx((3 + 2) / (3 + 3))
    assert found.shown[1].counts == ((8, 4), (1, 2))
    assert (found.images, found.undisputed) == (3, 1)


def test_the_images_are_stored_so_that_the_page_needs_no_data_set(study):
    assert contested_images(study).shown[0].png is None
    assert b"The most contested images" in build_report(study)  # without pictures
    dataset = load_dataset("digits", None)
    write_thumbnails(study, dataset)
    before = study.folder.read("thumbnails.parquet")
    shown = contested_images(study).shown
    pixels = [np.asarray(Image.open(io.BytesIO(image.png))) for image in shown]
    assert (pixels[0] == dataset.test_images[7][0]).all()
    assert (pixels[1] == dataset.test_images[3][0]).all()
    study.write_bytes("thumbnails.parquet", b"half")
    write_thumbnails(study, dataset)
    assert study.folder.read("thumbnails.parquet") == before


def test_the_page_shows_them_with_what_the_numbers_say(study):
    write_thumbnails(study, load_dataset("digits", None))
    with open_page(Path(write_report(study)), 390) as page:
        assert {"contested-images", "ensembles"} <= page.figures
        assert page.complaints == []
        assert page.broken_images == 0
        assert page.clipped == []
        assert page.width <= 390
        assert (
            "Image 7 (4) is contested most: two models of one group disagree on it in 83% of "
            "pairs; of 6 models, 3 say 4, 2 say 9, 1 say 1. On 33.3% of the 3 test images"
        ) in page.text
        assert "2 models together gain +0.050 [+0.020, +0.080] in accuracy" in page.text
        assert "told from zero in 1 of 2" in page.text
