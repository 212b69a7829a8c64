"""Classifiers that are no networks: the same scores, by their own way of answering."""

from itertools import product

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, load_wine
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from dbray.errors import UserError
from dbray.notebook import compare
from dbray.scores.fragmentation import count_regions

FEATURES, LABELS = load_wine(return_X_y=True)
FEATURES = (FEATURES - FEATURES.mean(axis=0)) / FEATURES.std(axis=0)


def forest(seed):
    return RandomForestClassifier(8, random_state=seed, n_jobs=1)


@pytest.fixture(scope="module")
def found():
    models = {f"forest {seed}": forest(seed) for seed in range(3)}
    models["regression 0"] = LogisticRegression(max_iter=1000)
    models["regression 1"] = LogisticRegression(C=0.001)
    for model in models.values():
        model.fit(FEATURES, LABELS)
    groups = {name: name.split()[0] for name in models}
    asked = {"planes": 6, "resolution": 15, "groups": groups, "progress": False}
    return models, compare(models, FEATURES, LABELS, **asked)


def test_label_maps_are_what_the_estimators_predict(found):
    models, comparison = found
    steps = (np.arange(15) / 14) * 1.2 - 0.1
    for plane, (m, model) in product(range(2), enumerate(models.values())):
        a, b, c = FEATURES[comparison.image_ids[plane]].astype(np.float32)
        # The grid of METHOD section 1, written a second time.
        e1 = (b - a) / np.linalg.norm(b - a)
        rest = (c - a) - ((c - a) @ e1) * e1
        e2 = rest / np.linalg.norm(rest)
        corners = np.array([[0, 0], [(b - a) @ e1, 0], [(c - a) @ e1, (c - a) @ e2]])
        low, side = corners.min(axis=0), np.ptp(corners, axis=0)
        x, y = (low[i] + steps * side[i] for i in range(2))
        points = a + x[:, None, None] * e1 + y[None, :, None] * e2
        predicted = model.predict(points.reshape(-1, 13).astype(np.float32)).reshape(15, 15)
        # Rounding may move a point across a border of a forest.
        assert (predicted == comparison.label_maps[m, plane]).mean() > 0.99


def test_groups_are_means_of_pairs_of_models(found):
    _, comparison = found
    maps = comparison.label_maps
    rows = comparison.groups.set_index(["group_a", "group_b"])
    same = [(maps[a] == maps[b]).mean() for a, b in [(0, 1), (0, 2), (1, 2)]]
    assert rows.agreement["forest", "forest"] == pytest.approx(np.mean(same))
    across = [(maps[a] == maps[b]).mean() for a in range(3) for b in (3, 4)]
    assert rows.agreement["forest", "regression"] == pytest.approx(np.mean(across))
    assert list(rows.planes_only) == [False, False, True]
    assert (rows.low <= rows.agreement).all()
    regions = [count_regions(each).mean() for each in maps[:3]]
    assert comparison.group_fragmentation.regions[0] == pytest.approx(np.mean(regions))


def test_contested_inputs_come_first(found):
    models, comparison = found
    answers = np.array([model.predict(FEATURES) for model in models.values()])
    frame = comparison.images
    assert list(frame.columns[:4]) == ["image", "label", "right", "disagreement"]
    assert frame.disagreement.is_monotonic_decreasing
    for row in frame.head(10).to_dict("records"):
        own = answers[:, row["image"]]
        assert [row[name] for name in models] == own.tolist()
        assert row["right"] == (own == LABELS[row["image"]]).mean()
        shares = np.bincount(own, minlength=3) / len(own)
        assert row["disagreement"] == pytest.approx(1 - (shares**2).sum())


def test_it_is_shown_and_saved(found, tmp_path):
    _, comparison = found
    assert "5 models on 6 planes" in repr(comparison)
    assert "regression" in comparison._repr_html_()
    page = comparison.save(tmp_path / "page.html").read_text()
    assert "The most contested inputs" in page
    assert "What the planes go through" in page
    assert len(comparison.anchors) == 18
    assert comparison.anchors["feature 12"][0] == np.float32(
        FEATURES[comparison.image_ids[0, 0], 12]
    )
    with pytest.raises(UserError, match="cannot be written: No such file"):
        comparison.save(tmp_path / "none" / "page.html")


def test_every_way_to_answer(tmp_path):
    features, labels = load_iris(return_X_y=True)
    net = torch.nn.Linear(4, 3).double().float()
    models = {
        "pipeline": make_pipeline(StandardScaler(), SVC()),
        "boosting": GradientBoostingClassifier(n_estimators=5),
        "ridge": RidgeClassifier(),
        "network": net,
        "function": lambda x: net(torch.from_numpy(x)).detach().numpy(),
    }
    for model in list(models.values())[:3]:
        model.fit(features, labels)
    agreement = compare(models, features, labels, planes=3, resolution=9).agreement
    pairs = agreement.set_index(["model_a", "model_b"]).agreement
    assert pairs["network", "function"] == 1


def test_two_classes_by_one_score():
    features, labels = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=1000).fit(features, labels == 0)
    models = {"by a score": lambda x: model.decision_function(x), "by two": model}
    (row,) = compare(models, features, planes=3, resolution=9).agreement.itertuples()
    assert row.agreement == 1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (RandomForestClassifier, "model b: is a class; make one of it"),
        (object(), "model b: object gives no scores"),
        (RandomForestClassifier(), "model b: .*NotFittedError"),
        (lambda x: x.argmax(axis=1), "gives one class for each input"),
        (lambda x: x.astype(str), "gives <U32 where scores are numbers"),
    ],
)
def test_what_gives_no_scores_is_said_in_one_line(model, message):
    features, labels = load_iris(return_X_y=True)
    good = LogisticRegression(max_iter=1000).fit(features, labels)
    with pytest.raises(UserError, match=message) as found:
        compare({"a": good, "b": model}, features, labels, planes=1)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"a": "x"}, "groups: model b has none"),
        ({"a": "x", "b": "x", "c": "x"}, "groups: there is no model c"),
        (["x"], "groups: must be a dict"),
    ],
)
def test_groups_are_checked(groups, message):
    features, labels = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=1000).fit(features, labels)
    with pytest.raises(UserError, match=message):
        compare({"a": model, "b": model}, features, labels, groups=groups)
