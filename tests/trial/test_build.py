"""Models as a trial begins with them."""

from dataclasses import replace

import pytest
import torch

from dbray.config import TrialConfig
from dbray.trial import build


@pytest.mark.parametrize("name", ["resnet", "vit", "mlp"])
def test_one_bit_is_the_last_of_one_weight(digits, name):
    config = TrialConfig("digits", digits.fingerprint, name, published=True)
    before = build(config, digits).state_dict()
    after = build(replace(config, one_bit=True), digits).state_dict()
    changed = [key for key in before if not before[key].equal(after[key])]
    assert len(changed) == 1
    bits = [state[changed[0]].view(torch.int32).ravel() for state in (before, after)]
    different = torch.nonzero(bits[0] != bits[1]).ravel()
    assert different.tolist() == [0]
    assert bits[0][0] ^ bits[1][0] == 1


def test_seeds_that_are_not_given_are_the_datas(digits):
    config = TrialConfig("digits", "f", "resnet", weights_seed=1, data_seed=2)
    assert config.data_seeds == (2, 2, 2)
    assert replace(config, order_seed=5).data_seeds == (5, 2, 2)
    apart = replace(config, dropout_seed=0, sample_seed=2)
    assert apart.seeds == {
        "weights": 1,
        "order": 2,
        "augmentation": 2,
        "dropout": 0,
        "sample": 2,
    }
    assert "sample" not in config.seeds
