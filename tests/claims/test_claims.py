"""Claims: which differences each names, and what follows from them."""

import itertools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from dbray.claims import NAMED, Claim, Contrast, Key, Result, check_contrasts, study_claims, verdict
from dbray.claims.contrasts import Asked, within
from dbray.config import (
    DistillationConfig,
    NoiseConfig,
    TrainingConfig,
    TrialConfig,
    group_label,
)
from dbray.errors import UserError

CNNS = ("vgg", "resnet", "densenet", "wideresnet@10", "wideresnet@20", "wideresnet@40")
OTHERS = ("fcnet", "vit", "mixer")


@dataclass(frozen=True)
class Trial:
    """What claims look at of a committed trial."""

    config: TrialConfig
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def trial_id(self):
        return self.config.trial_id


def config(name, seed=0, **more):
    name, _, width = name.partition("@")
    return TrialConfig("d", "f", name, int(width or 0), weights_seed=seed, **more)


def asked(trials, group_by=("architecture",), **more):
    groups = {}
    for trial in trials:
        groups.setdefault(group_label(trial.config, group_by), []).append(trial)
    return Asked(**({"trials": groups, "kinds": ("test", "train"), "group_by": group_by} | more))


def architectures(names=(*CNNS, *OTHERS), seeds=3, **more):
    return asked([Trial(config(name, seed)) for name in names for seed in range(seeds)], **more)


def value(contrast, scores):
    """A contrast of scores that are given by key, and are 0 where they are not."""
    return sum(weight * scores.get(key, 0.0) for key, weight in contrast.weights.items())


def by_name(claims):
    return {claim.name: claim for claim in claims}


def test_convolutional_networks_against_each_of_the_others():
    claim = by_name(study_claims(architectures()))["C1"]
    assert [c.name.split()[-1] for c in claim.contrasts] == ["FCNet", "ViT", "MLP-Mixer"]
    scores = {within(name): 0.7 + place / 100 for place, name in enumerate(CNNS)}
    scores |= {within("vit"): 0.4}
    mean = np.mean([scores[within(name)] for name in CNNS])
    assert value(claim.contrasts[1], scores) == pytest.approx(mean - 0.4)
    assert all(contrast.decides for contrast in claim.contrasts)
    assert not claim.missing


def test_pairs_of_different_convolutional_networks_against_pairs_of_families():
    claim = by_name(study_claims(architectures()))["C2"]
    (contrast,) = claim.contrasts
    keys = {key: weight for key, weight in contrast.weights.items() if weight > 0}
    assert Key("agreement", "test", "resnet", "vgg") in keys
    # Two widths of one architecture are no two architectures.
    assert not any({a.split("@")[0] for a in key[2:]} == {"wideresnet"} for key in contrast.weights)
    assert sum(contrast.weights.values()) == pytest.approx(0)
    assert contrast.weights[Key("agreement", "test", "fcnet", "vit")] < 0
    assert sum(keys.values()) == pytest.approx(1)


def test_the_slope_over_log_width_decides_and_the_steps_stand_beside():
    claim = by_name(study_claims(architectures()))["C3"]
    slope, *steps = claim.contrasts
    scores = {within(f"wideresnet@{width}"): 0.5 + 0.03 * np.log2(width) for width in (10, 20, 40)}
    assert value(slope, scores) == pytest.approx(0.03)
    assert [value(step, scores) for step in steps] == pytest.approx([0.03, 0.03])
    assert [c.decides for c in claim.contrasts] == [True, False, False]


def test_residual_networks_against_the_plain_one():
    claim = by_name(study_claims(architectures()))["C4"]
    scores = {within("resnet"): 0.8, within("densenet"): 0.7, within("vgg"): 0.6}
    assert value(claim.contrasts[0], scores) == pytest.approx(0.15)


def test_what_a_study_lacks_is_said():
    found = by_name(study_claims(architectures(("vgg", "fcnet"), seeds=2)))
    assert "ViT or of MLP-Mixer" in found["C1"].missing
    assert len(found["C1"].contrasts) == 1
    assert not found["C2"].contrasts
    assert "two kinds of convolutional" in found["C2"].missing
    assert "widths" in found["C3"].missing
    assert "ResNet or of DenseNet" in found["C4"].missing
    apart = by_name(study_claims(architectures(across=False)))
    assert "--pairs groups" in apart["C2"].missing
    assert not any(claim.contrasts for claim in study_claims(architectures(seeds=1)))


def test_patterns_off_the_data_are_compared_on_each_kind():
    found = by_name(study_claims(architectures(("vgg", "vit"), kinds=("test", "uniform", "mixed"))))
    kinds = [contrast.name.split()[-2] for contrast in found["C9"].contrasts]
    assert kinds == ["uniform", "mixed"]
    scores = {within("vgg", "mixed"): 0.8, within("vit", "mixed"): 0.6}
    scores[Key("agreement", "mixed", "vgg", "vit")] = 0.5
    assert value(found["C9"].contrasts[1], scores) == pytest.approx(0.2)
    assert "C9" not in by_name(study_claims(architectures()))


def test_sam_against_each_optimizer_over_the_architectures_that_have_both():
    trials = [
        Trial(config(name, seed, training=TrainingConfig(optimizer=optimizer)))
        for name, optimizers in (("resnet", ("sgd", "adam", "sam")), ("vit", ("adam", "sam")))
        for optimizer in optimizers
        for seed in range(3)
    ]
    (claim,) = study_claims(asked(trials, ("architecture", "training.optimizer")))
    means = [contrast for contrast in claim.contrasts if contrast.decides]
    assert [contrast.name[-3:].strip() for contrast in means] == ["SGD", "dam"]
    scores = {within("resnet/sam"): 0.8, within("vit/sam"): 0.6, within("resnet/sgd"): 0.7}
    assert value(means[0], scores) == pytest.approx(0.1)
    assert value(means[1], scores) == pytest.approx(0.7)
    assert len(claim.contrasts) == 2 + 2  # of Adam, the architectures one by one


def test_students_of_all_teachers_together_and_each_pair_beside():
    teachers = {name: config(name, 0) for name in ("resnet", "vgg")}
    twins = [config("vgg", 1), config("vit", 1)]
    students = [
        replace(twin, distillation=DistillationConfig(teacher.trial_id, name))
        for twin in twins
        for name, teacher in teachers.items()
    ]
    trials = [Trial(c) for c in dict.fromkeys([*teachers.values(), *twins, *students])]
    (claim,) = study_claims(asked(trials, ("architecture", "distillation")))
    whole, *single = claim.contrasts
    assert set(whole.weights.values()) == {0.25}
    assert [contrast.decides for contrast in single] == [False] * 4
    assert "ViT from VGG" in {contrast.name for contrast in single}


def widths(errors, noise=None, seeds=2):
    """Trials at widths with such training errors."""
    return [
        Trial(config(f"mlp@{width}", seed, noise=noise), {"fit_accuracy": 1 - error})
        for width, error in errors.items()
        for seed in range(seeds)
    ]


BY_WIDTH = ("architecture", "noise", "stop_epoch")
NOISE = NoiseConfig(0.2)
FITS = {4: 0.4, 8: 0.3, 12: 0.2, 16: 0.1, 32: 0.0, 64: 0.0}


def test_the_threshold_is_compared_with_widths_that_no_score_has_chosen():
    found = by_name(study_claims(asked([*widths(FITS), *widths(FITS, NOISE)], BY_WIDTH)))
    names = [contrast.name for contrast in found["C7"].contrasts]
    assert names == [
        "test error, width 32 \N{MINUS SIGN} 12",  # the largest up to 0.4 of the threshold
        "regions, width 32 \N{MINUS SIGN} 12",
        "agreement, width 12 \N{MINUS SIGN} 32",
        "test error, width 32 \N{MINUS SIGN} 64",
        "regions, width 32 \N{MINUS SIGN} 64",
        "agreement, width 64 \N{MINUS SIGN} 32",
    ]
    assert {key.kind for key in found["C7"].contrasts[1].weights} == {"train"}
    (dip,) = found["C8"].contrasts
    scores = {within(f"mlp@{width}/no noise"): v for width, v in ((16, 0.8), (32, 0.5), (64, 0.7))}
    assert value(dip, scores) == pytest.approx(0.25)


@pytest.mark.parametrize(
    "errors",
    [
        {4: 0.4, 8: 0.3},  # nothing fits
        {8: 0.3, 16: 0.0, 32: 0.0},  # nothing narrow
        {2: 0.3, 4: 0.3, 16: 0.0},  # nothing wider
    ],
)
def test_a_peak_needs_widths_on_both_sides(errors):
    found = by_name(study_claims(asked(widths(errors, NOISE), BY_WIDTH)))
    assert not found["C7"].contrasts
    assert "0.4" in found["C7"].missing


def test_a_users_contrast_comes_first_and_is_of_any_groups():
    claims = study_claims(architectures(group_by=("architecture",), named=("vit - vgg",)))
    assert claims[0].name == NAMED
    assert claims[0].contrasts[0].weights == {within("vit"): 1.0, within("vgg"): -1.0}
    lacking = study_claims(architectures(("vit",), named=("vit - vgg",)))[0]
    assert (lacking.contrasts, "VGG" in lacking.missing) == ((), True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vit", "write two groups"),
        ("vit - vit", "write two groups"),
        ("vit - vgg - fcnet", "write two groups"),
        ("vit - nothing", "has no group 'nothing'; it has vgg, vit"),
        ("", "write two groups"),
    ],
)
def test_a_contrast_of_what_there_is_not_is_refused(text, said):
    with pytest.raises(UserError, match=said):
        check_contrasts([text], ["vgg", "vit"], ["test"])
    check_contrasts(["vit - vgg"], ["vgg", "vit"], ["test"])
    with pytest.raises(UserError, match="test planes"):
        check_contrasts(["vit - vgg"], ["vgg", "vit"], ["train"])


def result(difference, *, error=0.01, seeds=5, p_holm=None, needed=7, **more):
    """A measured contrast, told from zero when it is more than two errors away."""
    p = 0.001 if abs(difference) > 2 * error else 0.4
    about = {"claim": "C1", "name": f"of {difference:+g}", "decides": True, "level": 0.95}
    found = {
        "difference": difference,
        "low": difference - 2 * error,
        "high": difference + 2 * error,
        "standard_error": error,
        "degrees_of_freedom": 9.0,
        "p": p,
        "p_holm": p if p_holm is None else p_holm,
        "planes_only": False,
        "seeds": seeds,
        "seeds_needed": needed,
    }
    return Result(**(about | found | more))


CLAIM = Claim("C1", "it is so", (Contrast("C1", "a", {}),))


@pytest.mark.parametrize(
    ("results", "outcome", "needed"),
    [
        ([result(0.1), result(0.2)], "holds", None),
        ([result(0.1), result(0.01)], "cannot be told", 7),
        ([result(0.1), result(0.01, needed=9), result(0.005, needed=20)], "cannot be told", 20),
        ([result(0.1), result(0.01, needed=None)], "cannot be told", None),
        ([result(0.1), result(-0.1)], "does not hold", None),
        ([result(0.01), result(-0.1)], "does not hold", None),
        ([result(0.1), result(-0.1, p_holm=0.06)], "cannot be told", None),
        ([result(0.1), result(-0.01, needed=30)], "cannot be told", 30),
        ([result(0.1), result(-0.1, decides=False)], "holds", None),
        ([result(0.1, seeds=2)], "cannot be told", 7),
        ([result(-0.1, seeds=2)], "cannot be told", 7),
        ([result(0.1, planes_only=True)], "cannot be told", 7),
        ([result(0.1, p=0.03, level=0.99)], "cannot be told", 7),
        ([], "cannot be told", None),
        ([result(0.1, claim="C2")], "cannot be told", None),
    ],
)
def test_verdicts_follow_from_the_differences(results, outcome, needed):
    for order in itertools.islice(itertools.permutations(results), 6):
        found = verdict(CLAIM, order)
        assert (found.outcome, found.seeds_needed) == (outcome, needed)
        assert found.reason
