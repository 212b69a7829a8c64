"""How many trials Ray gets at once: what fits on this machine, or all that a cluster may get."""

import pytest
import ray

from dbray.errors import UserError
from dbray.sweep import Resources
from dbray.sweep.cluster import Cluster
from dbray.sweep.resources import slots_on_ray


def on_cluster(**asked):
    return Resources(cluster=Cluster("10.0.0.1:6379", "--cluster"), **asked)


@pytest.fixture
def has(monkeypatch):
    """Set what Ray says there is."""

    def set_resources(**resources):
        monkeypatch.setattr(ray, "cluster_resources", lambda: resources)

    return set_resources


def test_one_machine_bounds_the_trials_at_once(has):
    has(CPU=6.0, GPU=1.0)
    assert slots_on_ray(Resources(cpus_per_trial=2), 10) == 3
    assert slots_on_ray(Resources(gpus_per_trial=0.25), 10) == 4
    has(CPU=6.0)
    with pytest.raises(UserError, match="0 GPUs"):
        slots_on_ray(Resources(gpus_per_trial=1.0), 10)


def test_a_cluster_without_workers_yet_gets_every_trial(has, capsys):
    """The autoscaler starts machines for trials that wait; a refusal would leave it idle."""
    has()
    assert slots_on_ray(on_cluster(cpus_per_trial=2, gpus_per_trial=1.0), 27) == 27
    assert "waiting for machines with 2 CPUs and 1 GPUs" in capsys.readouterr().err


def test_what_a_cluster_has_now_is_no_bound(has, capsys):
    has(CPU=4.0, GPU=1.0)
    assert slots_on_ray(on_cluster(gpus_per_trial=1.0), 27) == 27
    assert slots_on_ray(on_cluster(gpus_per_trial=1.0, max_concurrent=8), 27) == 8
    assert capsys.readouterr().err == ""


def test_trainings_by_several_workers_get_as_many_places_as_fit_whole(has, capsys):
    """Each has a process that waits for its workers: a cluster's head cannot have one a trial."""
    has(CPU=11.0)
    assert slots_on_ray(Resources(cpus_per_trial=2, workers_per_trial=2), 10) == 2
    has(CPU=3.0)
    with pytest.raises(UserError, match=r"2 workers x 2 = 4 CPUs .* there are 3 CPUs"):
        slots_on_ray(Resources(cpus_per_trial=2, workers_per_trial=2), 10)
    has(CPU=12.0, GPU=6.0)
    several = on_cluster(gpus_per_trial=1.0, workers_per_trial=4)
    assert slots_on_ray(several, 27) == 1
    has()
    assert slots_on_ray(several, 27) == 1
    assert "4 x 1 = 4 GPUs" in capsys.readouterr().err
