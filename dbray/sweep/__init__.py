"""The sweep: Ray Tune runs what a study lacks, Ray Train a training by several processes."""

from dbray.sweep.cluster import find_cluster
from dbray.sweep.resources import Resources, check_resources, slots_here
from dbray.sweep.session import ray_session
from dbray.sweep.sweep import missing_work, run_sweep
from dbray.sweep.tasks import Work

__all__ = [
    "Resources",
    "Work",
    "check_resources",
    "find_cluster",
    "missing_work",
    "ray_session",
    "run_sweep",
    "slots_here",
]
