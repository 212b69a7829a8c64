"""How often trials agree on the scored planes, counted some planes at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dbray.claims.contrasts import SCORED_KIND
from dbray.scores.agreement import count_agreements
from dbray.store import CommittedTrial, Study, read_label_maps
from dbray.store.scope import Scope

PLANES_AT_ONCE = 16


def agreements(
    study: Study, scope: Scope, trials: Sequence[CommittedTrial]
) -> Iterator[NDArray[np.int32]]:
    """Points on which two of M trials agree, shape (some planes, M, M), the smaller place first."""
    ids = scope.plane_ids(SCORED_KIND)
    for start in range(ids.start, ids.stop, PLANES_AT_ONCE):
        stop = min(start + PLANES_AT_ONCE, ids.stop)
        maps = np.stack([read_label_maps(study, trial, start, stop) for trial in trials])
        flat = maps.reshape(len(trials), stop - start, -1)
        yield count_agreements(flat, None, scope.classes).agreements
