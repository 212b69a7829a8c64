"""The table of branches is what its definitions give, and the page shows it."""

from dataclasses import replace

import numpy as np
import pytest
from branches_study import BASES, EPOCHS, write_branches_study

from dbray import StudyResults
from dbray.config import TrialConfig
from dbray.errors import UserError
from dbray.report.sections.branches import branches_section
from dbray.report.tables.tables import load_tables
from dbray.study.designs import design
from sweeps.randomness import Randomness, branched


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_branches_study(tmp_path_factory.mktemp("runs"))


def test_each_branch_is_compared_with_its_own_trunk(study):
    found = StudyResults(study.location)
    trials = {trial.config: trial.trial_id for trial in study.committed()}
    rows = load_tables(study).branches.set_index("branch_epoch")
    assert list(rows.index) == list(EPOCHS)
    for epoch in EPOCHS:
        differing = [
            (found.label_maps(i) != found.label_maps(trials[replace(c, branch=None)])).mean()
            for c, i in trials.items()
            if c.branch and c.branch.epoch == epoch
        ]
        assert len(differing) == BASES
        assert rows.disagreement[epoch] == pytest.approx(np.mean(differing))
        assert rows.disagreement_low[epoch] < np.mean(differing) < rows.disagreement_high[epoch]
        assert rows.barrier[epoch] == pytest.approx(0.1)
    assert rows.barrier_matched.isna().all()
    # The sources' shares are those of the other trials.
    assert (found.randomness.trials == BASES**2).all()


def test_r4_is_earliest_less_latest(study):
    claims = StudyResults(study.location).claims.set_index("claim")
    assert claims.outcome["R4"] == "holds"


def test_the_page_says_when_it_is_decided(study):
    section = branches_section(load_tables(study))
    assert "after epoch 0" in section.figures[0].caption
    assert "Weights are not matched for: ResNet." in section.prose
    assert len(section.tables[0].rows) == len(EPOCHS)
    assert section.figures[0].spec


def test_epochs_that_cannot_be_are_refused():
    trials = design(TrialConfig("d", "f", "resnet"), ("order",), BASES)
    with pytest.raises(UserError, match="--branch-epochs 100: resnet is trained for 100 epochs"):
        branched(Randomness(branch_epochs=(1, 100)), trials)
    with pytest.raises(UserError, match="add one to --sources"):
        Randomness(branch_epochs=(1,), sources=("weights",)).validate()
    options = Randomness(branch_epochs=EPOCHS, sources=("order", "bit"), seeds=BASES)
    assert len(set(branched(options, trials))) == 2 * BASES * len(EPOCHS)
