"""The order in which a sweep is begun."""

from dbray.config import TrialConfig
from dbray.study.work import _longest_first
from dbray.sweep import Work


def order(*titles):
    """The order of trials that are asked for as ``architecture@width seed``."""
    work = []
    for title in titles:
        architecture, width, seed = title.replace("@", " ").split()
        config = TrialConfig("digits", "", architecture, width=int(width), weights_seed=int(seed))
        work.append(Work(config, title))
    return [item.group for item in _longest_first(work)]


def test_long_trainings_are_begun_first_and_seeds_stay_in_order():
    given = ["fcnet@0 0", "fcnet@0 1", "vgg@0 0", "vit@0 0", "vit@0 1", "wideresnet@0 0"]
    expected = ["vit@0 0", "vit@0 1", "wideresnet@0 0", "vgg@0 0", "fcnet@0 0", "fcnet@0 1"]
    assert order(*given) == expected


def test_wide_models_come_before_narrow_ones():
    assert order("mlp@4 0", "mlp@64 0", "mlp@16 0") == ["mlp@64 0", "mlp@16 0", "mlp@4 0"]


def test_models_of_ones_own_come_first_as_nobody_knows_how_long_they_take():
    assert order("vit@0 0", "mine:make@0 0") == ["mine:make@0 0", "vit@0 0"]
