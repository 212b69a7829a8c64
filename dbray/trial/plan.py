"""What every trial of a study is asked for beside its training, and how it is run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbray.planes import PlaneSource, plane_ids_of
from dbray.store import CommittedTrial, PlanesOf
from dbray.training import ONE_PROCESS, ProcessGroup

TEST_PREDICTIONS = "test_predictions.parquet"


@dataclass(frozen=True)
class PlanePlan:
    """Which planes every model of a study labels, and which lines it walks."""

    source: PlaneSource = field(default_factory=PlaneSource)
    counts: Mapping[str, int] = field(default_factory=lambda: {"test": 50, "train": 50})
    resolution: int = 50  # R of the score planes
    extent: float = 0.1  # share by which a score plane reaches past its anchors
    pictures: tuple[int, ...] = ()  # ids of the planes that also get pictures
    picture_resolution: int = 100
    picture_extent: float = 0.5
    line_images: int = 0  # of each kind, whose margins are measured

    @property
    def planes_of(self) -> PlanesOf:
        """What tells its planes from those of the same ids in other studies."""
        return self.source.seed, self.resolution, self.extent

    @property
    def score_planes(self) -> list[int]:
        """Ids of all planes that are scored."""
        return plane_ids(self.counts)


@dataclass(frozen=True)
class Execution:
    """Where and how a trial runs; none of it is part of its identity."""

    device: str = "cpu"
    threads: int = 1
    deterministic: bool = False
    checkpoint_seconds: float = 300.0  # between two saved states of a training
    process_group: ProcessGroup = ONE_PROCESS  # the processes that train one model


def plane_ids(counts: Mapping[str, int]) -> list[int]:
    """Ids of so many planes of each kind."""
    return [i for kind, count in counts.items() for i in plane_ids_of(kind, count)]


def covers(trial: CommittedTrial, plan: PlanePlan) -> bool:
    """Whether a committed trial has all that the plan asks for."""
    return (
        all(trial.planes.get(kind, 0) >= count for kind, count in plan.counts.items())
        and set(plan.pictures) <= set(trial.pictures)
        and (not plan.pictures or trial.picture_resolution == plan.picture_resolution)
        and trial.line_images >= plan.line_images
        and TEST_PREDICTIONS in trial.files
    )
