"""Shares of randomness: pairs found by hand, and a model whose indices are known in closed form."""

from itertools import combinations

import numpy as np
import pytest

from dbray.scores.jackknife import estimate, ratio
from dbray.scores.randomness import ALL, ALONE, BASES, SHARED, disagreement, pairs_by_design

SOURCES = ("weights", "order", "sample")
CLASSES = 10


def pick_freeze(bases):
    """Seeds of the design: two seeds of a source crossed with two of the rest."""
    found = [dict.fromkeys(SOURCES, b) for b in range(bases)]
    for source in SOURCES:
        found += [
            {**dict.fromkeys(SOURCES, b), source: v}
            for b in range(bases)
            for v in range(bases)
            if b != v
        ]
    return found


def test_pairs_are_those_that_a_slow_search_finds():
    seeds = pick_freeze(3)
    others = [{"bit": 0} for _ in seeds]
    seeds.append(seeds[0])
    others.append({"bit": 1})
    found = pairs_by_design(seeds, others)
    slow = {}
    for a, b in combinations(range(len(seeds)), 2):
        differ = [s for s in SOURCES if seeds[a][s] != seeds[b][s]]
        if others[a] != others[b]:
            if not differ:
                slow.setdefault((ALONE, "bit"), []).append((a, b))
        elif len(differ) == 3:
            slow.setdefault((ALL, ""), []).append((a, b))
        elif len(differ) == 1:
            slow.setdefault((ALONE, differ[0]), []).append((a, b))
        elif len(differ) == 2:
            (same,) = set(SOURCES) - set(differ)
            slow.setdefault((SHARED, same), []).append((a, b))
    assert {key: [tuple(p) for p in pairs.tolist()] for key, pairs in found.items()} == slow
    assert len(slow[ALONE, "weights"]) == 15
    assert slow[ALONE, "bit"] == [(0, len(seeds) - 1)]


def answers(seeds, weights, planes, points, salt=0):
    """Labels of a model: each point follows one source, or all at once, with given chances.

    A source's labels are drawn from its seed and the point, so that two models with equal seeds
    agree there and others agree by chance, 1 in 10.
    """
    rng = np.random.default_rng([salt, 99])
    follows = rng.choice(len(weights), (planes, points), p=list(weights.values()))
    labels = np.zeros((planes, points), int)
    for place, name in enumerate(weights):
        of = [seeds[s] for s in SOURCES] if name == "all" else [seeds[name]]
        drawn = np.random.default_rng([salt, place, *of]).integers(CLASSES, size=(planes, points))
        labels = np.where(follows == place, drawn, labels)
    return labels


def shares(weights, bases=4, planes=40, points=400, salt=0):
    seeds = pick_freeze(bases)
    labels = [answers(each, weights, planes, points, salt) for each in seeds]
    touches = np.array([[b in each.values() for b in range(bases)] for each in seeds])
    found = {}
    for design, pairs in pairs_by_design(seeds, [{}] * len(seeds)).items():
        by_pair = np.array([(labels[a] != labels[b]).mean(axis=1) for a, b in pairs]).T
        found[design] = disagreement(by_pair, touches[pairs[:, 0]] | touches[pairs[:, 1]])
    return found


def test_sources_that_add_up_have_the_shares_that_they_were_given():
    weights = {"weights": 0.6, "order": 0.3, "sample": 0.1}
    found = shares(weights)
    assert found[ALL, ""].value == pytest.approx(0.9, abs=0.01)
    for source, share in weights.items():
        total = ratio(found[ALONE, source], found[ALL, ""])
        first = 1 - ratio(found[SHARED, source], found[ALL, ""]).value
        assert total.value == pytest.approx(share, abs=0.02)
        assert first == pytest.approx(share, abs=0.02)  # nothing interacts


def test_sources_that_only_work_together_are_each_enough():
    found = shares({"all": 1.0})
    for source in SOURCES:
        assert ratio(found[ALONE, source], found[ALL, ""]).value == pytest.approx(1, abs=0.01)
        assert 1 - ratio(found[SHARED, source], found[ALL, ""]).value == pytest.approx(0, abs=0.01)


def test_a_mixture_has_both():
    """Total shares sum to more than 1, first-order shares to less: the gap is interaction."""
    found = shares({"weights": 0.5, "all": 0.5})
    weights = ratio(found[ALONE, "weights"], found[ALL, ""]).value
    order = ratio(found[ALONE, "order"], found[ALL, ""]).value
    assert weights == pytest.approx(1.0, abs=0.02)
    assert order == pytest.approx(0.5, abs=0.02)
    first = 1 - ratio(found[SHARED, "weights"], found[ALL, ""]).value
    assert first == pytest.approx(0.5, abs=0.02)


def test_intervals_hold_the_shares():
    """Of 95 % intervals, at least 90 % in 100 simulations of three bases, with few points."""
    held = 0
    for salt in range(100):
        found = shares({"weights": 0.6, "all": 0.4}, 3, 10, 30, salt)
        share = estimate(ratio(found[ALONE, "order"], found[ALL, ""]))
        held += share.low <= 0.4 <= share.high
    assert held >= 90


def test_two_bases_leave_nothing_to_leave_out():
    found = shares({"all": 1.0}, bases=2)
    parts = found[ALONE, "order"]
    assert len(parts.without[BASES]) == 0
    assert estimate(parts).planes_only
