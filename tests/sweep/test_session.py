"""Ray for the length of a command: an address of no cluster, and schedulers without one."""

import contextlib
import http.server
import socket
import threading
import time

import pytest
from object_stores import free_port

from dbray.errors import UserError
from dbray.sweep import session
from dbray.sweep.session import check_answers, cluster_address, ray_session, say_when_alone


@pytest.fixture
def silent():
    """A server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted = []

        def accept():
            with contextlib.suppress(OSError):  # it is closed
                while True:
                    accepted.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for connection in accepted:
            connection.close()


@pytest.fixture
def web():
    """A server that speaks HTTP as browsers do."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("server", ["silent", "web"])
def test_what_listens_there_is_no_ray(request, monkeypatch, server):
    monkeypatch.setenv("RAY_ADDRESS", address := request.getfixturevalue(server))
    monkeypatch.setattr(session, "ANSWER_SECONDS", 2.0)
    monkeypatch.setattr(session.ray, "is_initialized", lambda: False)
    started = time.monotonic()
    with pytest.raises(UserError, match=f"RAY_ADDRESS {address}: what listens there is no Ray"):
        ray_session().__enter__()
    assert time.monotonic() - started < 15


def test_the_time_that_it_takes_to_be_refused():
    assert 2 * session.ANSWER_SECONDS < 30  # to connect, then to answer


@pytest.mark.parametrize(
    "port", ["free", "99999999", "9" * 5000], ids=["free", "too large", "endless"]
)
def test_nothing_listens_there(port):
    port = port.replace("free", str(free_port()))
    with pytest.raises(UserError, match="nothing answers there"):
        check_answers(f"127.0.0.1:{port}")


def test_a_host_that_cannot_be():
    with pytest.raises(UserError, match="nothing answers there"):
        check_answers(f"{'a' * 100}:6379")


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), ("", None), (" local ", None), ("a:1", "a:1")]
)
def test_which_cluster_is_named(monkeypatch, value, expected):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if value is not None:
        monkeypatch.setenv("RAY_ADDRESS", value)
    assert cluster_address() == expected


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("SLURM_JOB_ID", "SLURM"),
        ("KUBERNETES_SERVICE_HOST", "Kubernetes"),
        ("SKYPILOT_TASK_ID", "SkyPilot"),
    ],
)
def test_a_scheduler_without_a_cluster_is_said(monkeypatch, capsys, variable, name):
    for other in session.SCHEDULERS:
        monkeypatch.delenv(other, raising=False)
    say_when_alone()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv(variable, "1")
    say_when_alone()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{name} job without RAY_ADDRESS: this machine is used alone")
