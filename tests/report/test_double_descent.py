"""A double-descent study: curves, claims, words and the page that shows them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from browser import blank_page, open_page
from width_study import NOISE, grid, write_width_study

from dbray.claims.double_descent import NO_NOISE, noise_name
from dbray.config import NoiseConfig
from dbray.report import write_report
from dbray.report.sections.double_descent import shown_widths
from dbray.report.sections.findings import findings_along_width
from dbray.report.tables.tables import load_tables
from dbray.report.tables.width_curves import WidthCurves, width_curves
from dbray.scores.threshold import Threshold

NOISY = "20 % wrong labels"
WIDTHS = [4, 8, 16, 32, 64]


@pytest.fixture(scope="module")
def study(tmp_path_factory, digits):
    return write_width_study(tmp_path_factory.mktemp("widths"), digits, grid(digits))


@pytest.fixture(scope="module")
def curves(study):
    return width_curves(load_tables(study))


def test_the_curves_are_means_over_a_groups_trials(study, curves):
    assert curves.widths == [2, 6, 24]
    assert curves.noises == [NO_NOISE, NOISY]
    trials = [t for t in study.committed() if t.config.stop_epoch is None]
    for width in curves.widths:
        for noise in (None, NOISE):
            here = [t for t in trials if (t.config.width, t.config.noise) == (width, noise)]
            assert len(here) == 2
            errors = [1 - t.metrics["test_accuracy"] for t in here]
            fits = [1 - t.metrics["fit_accuracy"] for t in here]
            for measure, values in (("test_error", errors), ("train_error", fits)):
                row = curves.curve(measure, noise_name(noise)).loc[width]
                assert row.value == pytest.approx(np.mean(values))
                assert row.low <= row.value <= row.high
            counts = study.read_table("scores/fragmentation.parquet").to_pandas()
            mine = counts[counts.trial_id.isin([t.trial_id for t in here])]
            regions = curves.curve("fragmentation", noise_name(noise)).loc[width].value
            assert regions == pytest.approx(mine[mine.kind == "train"].components.mean())
            for kind in ("test", "train_mislabelled"):
                row = curves.by_kind.query(
                    "measure == 'fragmentation' and kind == @kind and width == @width"
                    f" and noise == '{noise_name(noise)}'"
                ).iloc[0]
                assert row.value == pytest.approx(mine[mine.kind == kind].components.mean())
                assert row.low <= row.value <= row.high


def test_wrong_labels_are_harder_to_fit_and_a_part_of_the_training_error(curves):
    wide = {noise: curves.curve("train_error", noise).value[24] for noise in curves.noises}
    narrow = curves.curve("train_error", NOISY).value[2]
    assert wide[NO_NOISE] < wide[NOISY] < narrow
    assert narrow > NOISE.share  # what two units learn is right at most where labels are


def test_models_are_kept_at_every_epoch_that_was_asked_for(curves):
    assert set(curves.curves.epoch) == {0, 20}
    assert (curves.final.epoch == 0).all()
    early = curves.curves.query("epoch == 20 and measure == 'train_error'")
    assert len(early) == 6
    late = curves.final.query("measure == 'train_error'")
    assert early.value.sum() > late.value.sum()


def test_wrong_labels_of_another_draw_are_not_those_of_the_planes(tmp_path, digits):
    other = NoiseConfig(NOISE.share, NOISE.kind, seed=7)
    configs = grid(digits, widths=(4,), noises=(NOISE, other), stops=(None,), seeds=(0,))
    tables = load_tables(write_width_study(tmp_path, digits, configs))
    assert len(set(tables.trials.label)) == 1  # draws of one share are of one group
    assert set(width_curves(tables).by_kind.kind) == {"test", "train"}


def test_the_page_shows_curves_regions_claims_and_numbers(study, tmp_path):
    write_report(study)
    path = tmp_path / "index.html"
    path.write_bytes(study.folder.read("report/index.html"))
    with open_page(path) as page:
        assert page.complaints == []
        assert page.requests == [path.as_uri()]
        assert not page.clipped
        assert page.figures == {
            *("width-curves", "width-regions", "error-history", "epoch-curves"),
            *("by-kind-1", "by-kind-2"),
        }
        for words in ("Along the width", "C7", "C8", "All numbers", "Where this comes from"):
            assert words.lower() in page.text.lower()


def test_a_width_that_is_pointed_at_is_marked_in_every_panel(study, tmp_path):
    write_report(study)
    path = tmp_path / "index.html"
    path.write_bytes(study.folder.read("report/index.html"))
    shown = (
        "() => [...document.querySelectorAll('#width-curves .mark-rule line')]"
        ".filter((line) => line.getAttribute('opacity') == '0.6').length"
    )
    with blank_page(height=1600) as page:
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-drawn]", timeout=60_000)
        figure = page.locator("#width-curves")
        figure.scroll_into_view_if_needed()
        box = figure.bounding_box()
        assert page.evaluate(shown) == 0
        for step in (0, 3):  # into the panel, then within it
            page.mouse.move(box["x"] + 200 + step, box["y"] + 220)
            page.wait_for_timeout(200)
        assert page.evaluate(shown) == 6


def made(noise, measure, values, half_width=0.01):
    rows = [
        {
            "noise": noise,
            "width": width,
            "epoch": 0,
            "measure": measure,
            "value": value,
            "low": value - half_width,
            "high": value + half_width,
            "planes_only": False,
            "trials": 3,
        }
        for width, value in zip(WIDTHS, values, strict=True)
    ]
    return pd.DataFrame(rows)


def made_curves(frames, thresholds, noises=(NO_NOISE, NOISY)):
    empty = pd.DataFrame()
    joined = pd.concat(frames, ignore_index=True)
    return WidthCurves("MLP", WIDTHS, list(noises), joined, empty, empty, thresholds)


PEAK, FALL = [0.2, 0.1, 0.3, 0.25, 0.15], [0.2, 0.1, 0.08, 0.06, 0.05]
DIP, RISE = [0.6, 0.7, 0.4, 0.5, 0.8], [0.6, 0.7, 0.8, 0.85, 0.9]
THRESHOLDS = {NO_NOISE: Threshold(8, 8, 8), NOISY: Threshold(16, 8, 16)}


def both(error, regions, agreement, clean=RISE, half_width=0.01):
    frames = [
        made(NOISY, "test_error", error, half_width),
        made(NOISY, "fragmentation", regions, half_width),
        made(NOISY, "agreement", agreement, half_width),
        made(NO_NOISE, "test_error", FALL, half_width),
        made(NO_NOISE, "agreement", clean, half_width),
        made(NO_NOISE, "fragmentation", FALL, half_width),
    ]
    return made_curves(frames, THRESHOLDS)


def test_three_findings_each_with_its_interval():
    threshold, peak, dip = findings_along_width(both(PEAK, PEAK, DIP))
    assert (threshold.number, threshold.interval) == ("width 16", "95 % interval 8 to 16")
    assert (peak.number, peak.interval) == ("30.0%", "95 % interval 29.0% to 31.0%")
    assert "at its peak, at width 16" in peak.meaning
    assert "(width 8: 10.0%)" in peak.meaning
    assert (dip.number, dip.interval) == ("40.0%", "95 % interval 39.0% to 41.0%")
    assert "models of width 16" in dip.meaning


def test_an_error_without_a_peak_is_said_to_have_none():
    _, least, _ = findings_along_width(both(FALL, PEAK, DIP))
    assert least.number == "5.0%"
    assert "at width 64; it has no peak" in least.meaning


def test_a_family_that_never_fits_its_labels_has_no_threshold():
    curves = both(FALL, PEAK, DIP)
    none = Threshold(None, None, None)
    missing, *_ = findings_along_width(replace(curves, thresholds={NO_NOISE: none, NOISY: none}))
    assert (missing.number, missing.interval) == ("none", "of 5 widths up to 64")


def test_the_regions_are_shown_at_the_narrowest_the_critical_and_the_widest_width():
    assert shown_widths(both(PEAK, PEAK, DIP)) == [4, 16, 64]
