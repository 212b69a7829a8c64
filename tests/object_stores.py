"""Object stores over HTTP, for tests: two that speak S3, Google's, and a proxy that fails."""

import contextlib
import http.client
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

KEY, SECRET = "dbray-tests", "dbray-tests-secret-8f14"
BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
HOP_BY_HOP = {"connection", "content-length", "transfer-encoding"}
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


def environment(url, key=KEY, secret=SECRET):
    """What a user sets to reach a server."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextlib.contextmanager
def moto():
    """URL of a server that accepts every key and keeps all in memory; it has a bucket ``studies``.

    Both are processes of their own, so that requests go over HTTP as they do elsewhere.
    """
    with _serving("moto_server", "-H", "127.0.0.1", "-p", port := str(free_port())):
        url = f"http://127.0.0.1:{port}"
        _wait_for(url)
        _put(f"{url}/studies")
        yield url


@contextlib.contextmanager
def rclone(folder: Path):
    """URL of a server that checks signatures; its buckets are the folders of ``folder``."""
    address = f"127.0.0.1:{free_port()}"
    with _serving(
        "rclone", "serve", "s3", folder, "--addr", address, "--auth-key", f"{KEY},{SECRET}"
    ):
        _wait_for(f"http://{address}")
        yield f"http://{address}"


@contextlib.contextmanager
def google():
    """URI of a bucket on a server that speaks as Google's storage does, without credentials."""
    address = f"127.0.0.1:{free_port()}"
    host, port = address.split(":")
    with _serving(
        *("gcp-storage-emulator", "start", "--host", host, "--port", port),
        *("--in-memory", "--default-bucket", "studies"),
    ):
        _wait_for(f"http://{address}")
        yield f"gs://anonymous@studies/some/where?scheme=http&endpoint_override={address}"


class Proxy:
    """A server's front that answers some requests with an error instead of passing them on.

    Attributes
    ----------
    failures
        How many of the requests to come fail.
    only
        Only requests fail whose path has this in it.
    answer
        Status and body of the answer to a request that fails.
    """

    def __init__(self, target):
        self.failures, self.only, self.answer = 0, "", (503, BUSY)
        self.failed = []  # paths
        lock, proxy = threading.Lock(), self
        host = target.removeprefix("http://")

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with lock:
                    fails = proxy.failures > 0 and proxy.only in self.path
                    if fails:
                        proxy.failures -= 1
                        proxy.failed.append(self.path)
                if fails:
                    status, data = proxy.answer
                    self.reply(status, [("Content-Length", len(data))], data)
                    return
                connection = http.client.HTTPConnection(host, timeout=30)
                connection.request(self.command, self.path, body, dict(self.headers))
                response = connection.getresponse()
                data = response.read()
                kept = [h for h in response.getheaders() if h[0].lower() not in HOP_BY_HOP]
                length = (
                    response.getheader("Content-Length") if self.command == "HEAD" else len(data)
                )
                kept.append(("Content-Length", length or 0))
                self.reply(response.status, kept, data)

            def reply(self, status, headers, data):
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, str(value))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = pass_on  # noqa: N815

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(name):
    """Where a server's program is: beside this Python, or on the path."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; it comes with the extra 'dev'")
    return found


@contextlib.contextmanager
def _serving(name, *arguments):
    server = subprocess.Popen(
        [_program(name), *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_for(url, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(ConnectionError, TimeoutError, urllib.error.URLError):
            with contextlib.suppress(urllib.error.HTTPError):  # an answer, if a refusal
                urllib.request.urlopen(url, timeout=5).close()  # noqa: S310
            return
        time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")


def _put(url):
    urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=10).close()  # noqa: S310
