"""A study in shares: several commands at once, each with trials of its own, and no cluster."""

import re
from collections.abc import Sequence

from dbray.config import AnyConfig, TrialConfig
from dbray.errors import UserError


def parse_share(text: str) -> tuple[int, int]:
    """A share's number, from 1, and how many there are.

    Raises
    ------
    UserError
        If the text is none.
    """
    found = re.fullmatch("([0-9]{1,6})/([0-9]{1,6})", text)
    number, of = map(int, found.groups()) if found else (0, 0)
    if not 1 <= number <= of:
        raise UserError(f"--share {text}: give a number and how many there are, such as 2/8")
    return number, of


def shares(
    configs: Sequence[AnyConfig], share: str | None
) -> tuple[Sequence[AnyConfig], Sequence[AnyConfig]]:
    """The configs of a share, and those of the others.

    Trainings are dealt in the order of their ids, which is as good as by lot: neither later seeds
    nor an architecture that is added fall to a few shares alone. What is committed already does
    not matter, so that shares that begin hours apart agree on who does what. Trials that one
    training gives stay together, and students with their teacher.

    Parameters
    ----------
    configs
        The whole grid, teachers before their students.
    share
        Such as ``2/8``; all of it if None.
    """
    if share is None:
        return configs, []
    from dbray.trial import same_training  # no torch for every --help

    number, of = parse_share(share)
    together: dict[str, str] = {}  # trial: the id of the training that it comes with
    for config in configs:
        taught = config.distillation if isinstance(config, TrialConfig) else None
        alone = same_training(config).trial_id
        together[config.trial_id] = together.get(taught.teacher, alone) if taught else alone
    dealt = {training: n % of for n, training in enumerate(sorted(set(together.values())))}
    mine = [c for c in configs if dealt[together[c.trial_id]] == number - 1]
    return mine, [c for c in configs if dealt[together[c.trial_id]] != number - 1]
