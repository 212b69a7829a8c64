"""A study on a real MLflow tracking server."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from object_stores import free_port
from synthetic_study import write_synthetic_study

from dbray.export import export_study
from dbray.report import write_report

SERVER = ("mlflow", "alembic", "sqlalchemy", "graphene", "flask_cors")
START_SECONDS = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """URI of a tracking server of this machine, with nothing in it."""
    for module in SERVER:
        pytest.importorskip(module, reason=f"an MLflow server needs {module}")
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    places = ["--backend-store-uri", folder / "runs", "--artifacts-destination", folder / "files"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *places, "--port", str(port), "--workers", "1"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process)


def environment():
    # Its tables of a data base take half a minute to make; files do for a test.
    extra = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return os.environ | extra | {"MLFLOW_DISABLE_TELEMETRY": "true"}


def wait_for(url, process):
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310 - our own
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    pytest.fail("the MLflow server did not start")


def end(process):
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=30)


def made(storage, seeds):
    groups = {"resnet": 0.84, "vit": 0.63}
    study = write_synthetic_study(storage, groups=groups, seeds=seeds, resolution=12, epochs=3)
    write_report(study)
    return study


def test_a_server_gets_each_trial_once_and_new_scores(server, tmp_path):
    first, more = made(tmp_path / "first", (0, 1)), made(tmp_path / "more", (0, 1, 2))
    import mlflow

    outcome = export_study(first, "mlflow", server)
    assert (outcome.added, outcome.kept) == (4, 0)
    client = mlflow.MlflowClient(tracking_uri=server)
    experiment = client.get_experiment_by_name(first.name).experiment_id

    def runs():
        return {run.info.run_name: run for run in client.search_runs([experiment])}

    before = runs()
    assert set(before) == {first.name, *(trial.trial_id for trial in first.committed())}
    parent = before[first.name].info.run_id
    for trial in first.committed():
        run = before[trial.trial_id]
        assert run.info.status == "FINISHED"
        assert run.data.tags["dbray.group"] == trial.config.architecture
        assert run.data.tags["mlflow.parentRunId"] == parent
        assert run.data.params["training.epochs"] == "3"
        curve = client.get_metric_history(run.info.run_id, "test_accuracy")
        assert [point.step for point in curve] == [1, 2, 3]
        assert run.data.metrics["final/test_accuracy"] == trial.metrics["test_accuracy"]
    page = client.download_artifacts(parent, "index.html", str(tmp_path))
    assert Path(page).read_bytes() == first.folder.read("report/index.html")

    assert export_study(first, "mlflow", server).added == 0
    assert {name: run.info.run_id for name, run in runs().items()} == {
        name: run.info.run_id for name, run in before.items()
    }

    # A third seed: its runs are new, and the scores of the others' groups have changed.
    client.create_run(experiment, tags={"dbray.trial_id": "begun"}, run_name="begun")
    assert export_study(more, "mlflow", server).added == 6
    after = runs()
    assert len(after) == 7  # what was only begun is gone
    assert set(before) < set(after)
    for trial in first.committed():
        old, new = before[trial.trial_id], after[trial.trial_id]
        assert old.info.run_id == new.info.run_id
        assert len(client.get_metric_history(new.info.run_id, "test_accuracy")) == 3
        name = "group/test/agreement_high"
        assert old.data.metrics[name] != new.data.metrics[name]
