"""Classifiers that their factory makes ready are scored as models with weights are."""

import numpy as np
import pytest
from in_process import run_here

from dbray import StudyResults
from dbray.errors import UserError
from dbray.study.checkpoints import load_checkpoint, read_list

FORESTS = """
from sklearn.ensemble import RandomForestClassifier
from dbray import load_dataset

def forest(seed):
    digits = load_dataset("digits")
    images = digits.normalise(digits.train_images).reshape(-1, 64)
    return RandomForestClassifier(10, random_state=seed).fit(images, digits.train_labels)

def first(input_shape, classes):
    return forest(0)

def second(input_shape, classes):
    model = forest(1)
    return lambda images: model.predict_proba(images.reshape(len(images), -1))

def labels(input_shape, classes):
    model = forest(1)
    return lambda images: model.predict(images.reshape(len(images), -1))
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "forests.py").write_text(FORESTS)
    rows = [
        f'[[model]]\nname = "{name}"\ngroup = "forest"\nfactory = "forests:{name}"\n'
        'weights = "none"\n'
        for name in ("first", "second")
    ]
    (tmp_path / "models.toml").write_text("\n".join(rows))
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_forests_are_scored(project, digits):
    asked = ["--planes", "2", "--resolution", "6", "--picture-planes", "0"]
    ended = run_here("sweeps/my_models.py", *asked, cwd=project)
    assert ended.returncode == 0, ended.stderr
    assert "model first: is what forests:first returns" in ended.stderr
    found = StudyResults(project / "runs/my_models")
    assert list(found.trials.label) == ["forest", "forest"]
    assert (found.trials.test_accuracy > 0.85).all()
    assert (found.agreement.agreement < 1).any()
    # More planes: the factory is asked again.
    ended = run_here("sweeps/my_models.py", *asked, "--planes", "3", cwd=project)
    assert ended.returncode == 0, ended.stderr
    maps = StudyResults(project / "runs/my_models").label_maps(found.trials.trial_id[0])
    assert maps.shape == (3, 6, 6)


def test_a_factory_of_no_scores_is_refused(project, digits):
    text = (project / "models.toml").read_text().replace("forests:second", "forests:labels")
    (project / "models.toml").write_text(text)
    _, entry = read_list(project / "models.toml")
    with pytest.raises(UserError, match="gives one class for each input"):
        load_checkpoint(entry, digits)


def test_answers_are_the_estimators(project, digits):
    import forests

    from dbray.study.checkpoints import build

    first, _ = read_list(project / "models.toml")
    config = load_checkpoint(first, digits).config
    assert config.probabilities
    assert config.fitted
    images = digits.normalise(digits.test_images)
    import torch

    found = build(config, digits)(torch.from_numpy(images)).argmax(dim=1).numpy()
    expected = forests.forest(0).predict(images.reshape(-1, 64))
    assert np.mean(found == expected) > 0.99
