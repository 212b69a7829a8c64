"""The sweep: Ray Tune runs what a study lacks, Ray Train a training by several processes.

``dbray.sweep.sweep`` runs it; Ray Tune is slow to import, and so it is imported by itself.
"""

from dbray.sweep.cluster import find_cluster
from dbray.sweep.resources import Resources, check_resources, slots_here
from dbray.sweep.session import ray_session
from dbray.sweep.work import Work, missing_work

__all__ = [
    "Resources",
    "Work",
    "check_resources",
    "find_cluster",
    "missing_work",
    "ray_session",
    "slots_here",
]
