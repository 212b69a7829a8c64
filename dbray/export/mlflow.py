"""Runs on an MLflow tracking server: the study is an experiment, each trial a run in it."""

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dbray.errors import UserError, last_line
from dbray.export.runs import Exported, Outcome, Run, needed

ADDRESS = "MLFLOW_TRACKING_URI"
TRIAL, DIGEST = "dbray.trial_id", "dbray.digest"  # tags; the digest is set last of all
METRICS_AT_ONCE = 1000  # the server's limits, for one request
NAMES_AT_ONCE = 100
QUIETLY = {  # unless the environment says otherwise
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # an address where nothing answers took two minutes
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def to_mlflow(study: Exported, into: str) -> Outcome:
    """Add runs that the server does not have; scores that have changed are logged anew.

    A run's name is the trial's id. Trials are children of one run that has the study's name, and
    the study's page as its artifact. A run that was not finished is deleted and made again.

    Raises
    ------
    UserError
        If mlflow is not installed, no server is named, or it does not answer.
    """
    into = into or os.environ.get(ADDRESS, "")
    if not into:
        raise UserError(f"--to mlflow needs a server: --into http://HOST:5000, or {ADDRESS}")
    for name, value in QUIETLY.items():
        os.environ.setdefault(name, value)
    mlflow = needed("mlflow", "mlflow-skinny")
    with _said(mlflow, into):
        server = _Server(mlflow, into, study.name)
        parent = server.take_page(study)
        added = sum(server.take(run, parent) for run in study.runs())
    kept = len(study.trials) - added
    return Outcome(f"{into.rstrip('/')}/#/experiments/{server.experiment}", added, kept)


class _Server:
    """One experiment of a tracking server and the runs that it has."""

    def __init__(self, mlflow: Any, uri: str, name: str) -> None:  # noqa: ANN401 - a module
        self._mlflow = mlflow
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(name)
        self.experiment = found.experiment_id if found else self._client.create_experiment(name)
        self._runs = {run.data.tags[TRIAL]: run for run in self._whole_runs()}

    def take(self, run: Run, parent: str) -> bool:
        """Add a run, or its new scores; whether there was something to add."""
        there = self._runs.get(run.trial_id)
        if there and there.data.tags[DIGEST] == run.digest:
            return False
        last = int(run.history[-1]["epoch"]) if run.history else 0
        metrics = [(name, value, last) for name, value in run.metrics.items()]
        tags = {f"dbray.{name}": text for name, text in run.tags.items()}
        if there:
            self._log(there.info.run_id, metrics, {}, {**tags, DIGEST: run.digest})
            return True
        made = self._begin(run.trial_id, run.trial_id, {**tags, "mlflow.parentRunId": parent})
        curves = [
            (name, value, int(row["epoch"]))
            for row in run.history
            for name, value in row.items()
            if name != "epoch"
        ]
        self._log(made, curves + metrics, run.params, {"mlflow.note.content": run.name})
        self._end(made, run.digest)
        return True

    def take_page(self, study: Exported) -> str:
        """Id of the study's own run, which gets the page unless it has it."""
        digest = hashlib.sha256(study.page).hexdigest()
        there = self._runs.get("")
        made = there.info.run_id if there else self._begin(study.name, "", {})
        if not there or there.data.tags[DIGEST] != digest:
            with tempfile.TemporaryDirectory() as folder:
                page = Path(folder) / "index.html"
                page.write_bytes(study.page)
                self._client.log_artifact(made, str(page))
            self._end(made, digest)
        return str(made)

    def _whole_runs(self) -> Iterator[Any]:
        """Runs of an earlier export; what is left of one that was ended is deleted."""
        token = None
        while True:
            page = self._client.search_runs([self.experiment], page_token=token)
            for run in page:
                if DIGEST in run.data.tags:
                    yield run
                elif TRIAL in run.data.tags:
                    self._client.delete_run(run.info.run_id)
            token = page.token
            if not token:
                return

    def _begin(self, name: str, trial_id: str, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(
            self.experiment, run_name=name, tags={TRIAL: trial_id, **tags}
        )
        return str(run.info.run_id)

    def _log(
        self,
        run: str,
        metrics: list[tuple[str, float, int]],
        params: Mapping[str, Any],
        tags: Mapping[str, str],
    ) -> None:
        entities, now = self._mlflow.entities, int(time.time() * 1000)
        logged = [entities.Metric(name, value, now, step) for name, value, step in metrics]
        texts = [entities.Param(name, str(value)) for name, value in params.items()]
        for start in range(0, len(texts), NAMES_AT_ONCE):
            self._client.log_batch(run, params=texts[start : start + NAMES_AT_ONCE])
        for start in range(0, len(logged), METRICS_AT_ONCE):
            self._client.log_batch(run, metrics=logged[start : start + METRICS_AT_ONCE])
        self._client.log_batch(run, tags=[entities.RunTag(*tag) for tag in tags.items()])

    def _end(self, run: str, digest: str) -> None:
        self._client.set_terminated(run)
        self._client.set_tag(run, DIGEST, digest)


@contextlib.contextmanager
def _said(mlflow: Any, uri: str) -> Iterator[None]:  # noqa: ANN401 - a module
    """What the server refuses, in one line."""
    try:
        yield
    except mlflow.exceptions.MlflowException as error:
        raise UserError(f"MLflow at {uri}: {last_line(error)}") from error
