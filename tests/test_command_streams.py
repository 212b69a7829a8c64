"""Terminals and pipes that break or know few characters, and odd names: never a traceback."""

import os
import subprocess
import sys

import pytest
from commands import ROOT, run_script
from in_process import run_without_ray

SMALL = (
    *("--arch", "fcnet", "--seeds", "1", "--epochs", "1", "--planes", "2", "--resolution", "10"),
    *("--picture-planes", ""),
)
REFUSED = ("--seeds", "0")


def shell(command, cwd, **variables):
    """Run a shell's command line in which $RUN is the script."""
    run = f"{sys.executable} {ROOT}/sweeps/arch_repro.py"
    return subprocess.run(
        ["bash", "-c", command.replace("$RUN", run)],
        cwd=cwd,
        capture_output=True,
        timeout=300,
        check=False,
        env=os.environ | variables,
    )


def test_a_sweep_goes_on_when_nobody_reads_what_it_says(tmp_path):
    small = " ".join(part or "''" for part in SMALL)
    ended = shell(f"($RUN {small} 2>&1; echo $? >code) | head -n 1", tmp_path)
    assert len(ended.stdout.splitlines()) == 1
    assert ended.stderr == b""
    assert (tmp_path / "code").read_text() == "0\n"
    assert (tmp_path / "runs" / "arch_repro" / "report" / "index.html").exists()


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("$RUN --help | true", 0),
        ("$RUN --help >&-", 0),
        ("$RUN --help >/dev/full", 0),
        ("$RUN --seeds 0 2>&-", 2),
        ("$RUN --seeds 0 >&- 2>&- <&-", 2),
        ("$RUN --seeds 0 2>/dev/full", 2),
    ],
)
def test_closed_and_full_streams(tmp_path, command, code):
    ended = shell(f"set -o pipefail; {command}", tmp_path)
    assert ended.returncode == code
    assert ended.stderr == b""


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}])
def test_a_terminal_that_knows_few_characters(tmp_path, variables):
    assert shell("$RUN --help", tmp_path, **variables).returncode == 0
    ended = shell("$RUN --arch größe", tmp_path, **variables)
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"error: architecture ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("odd", [b"\xff\xfe", b"a\nb", "\N{OWL}".encode(), b"\x1b[31m"], ids=repr)
def test_odd_names(tmp_path, odd):
    """As the current folder, as the storage, as an option's value and as an option."""
    place = tmp_path / os.fsdecode(odd)
    place.mkdir()
    script = "sweeps/arch_repro.py"
    real = subprocess.run(
        [sys.executable, str(ROOT / script), b"--arch", odd],
        cwd=place,
        capture_output=True,
        check=False,
    )
    given = os.fsdecode(odd)
    refused = [real.stderr.decode()]
    for arguments in (
        ["--seeds", "0"],
        ["--storage", f"s3:{given}"],
        ["--dataset", f"npz:{given}"],
        ["--picture-planes", given],
        ["--preset", given],
        [f"--{given}"],
        ["--seeds", given],
        [given],
    ):
        ended = run_without_ray(script, *arguments, cwd=place)
        assert ended.returncode == 2, arguments
        refused.append(ended.stderr)
    for said in refused:
        (line,) = said.splitlines()
        assert line.startswith("error: ")
        assert line.isprintable()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("s3:/bucket/prefix", "give s3://BUCKET/PREFIX"),
        ("s3:bucket", "give s3://BUCKET/PREFIX"),
        ("gs:/bucket", "give gs://BUCKET/PREFIX"),
        ("S3:/bucket", "give s3://BUCKET/PREFIX"),
        ("file:/tmp", "give file:///PATH"),
        ("s3:KEY:SECRET@bucket", "give s3://BUCKET/PREFIX"),
        ("s3://[bucket", "is no URI"),
        ("~nobody-here/runs", "home"),
        ("s3://b\udcff/x", "is not UTF-8"),
    ],
)
def test_storage_that_is_no_place(storage, said):
    from dbray.errors import UserError
    from dbray.store import open_folder

    with pytest.raises(UserError, match=said) as caught:
        open_folder(storage)
    assert "SECRET" not in str(caught.value)


def test_half_a_uri_makes_no_folder(tmp_path):
    ended = run_script("sweeps/arch_repro.py", *SMALL, "--storage", "s3:/bucket", cwd=tmp_path)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            "When reading information for key 'x/a' in bucket 'b': AWS Error UNKNOWN (HTTP status "
            "400) during HeadObject operation: No response body.",
            "as it is when credentials have expired",
        ),
        (
            "When uploading object with key 'x/a' in bucket 'b': AWS Error UNKNOWN (HTTP status "
            "400) during PutObject operation: Unable to parse ExceptionName: ExpiredToken Message: "
            "The provided token has expired.",
            "the credentials have expired; get new ones",
        ),
    ],
)
def test_expired_credentials_are_said_as_such(answer, said):
    from dbray.store.troubles import describe_trouble

    assert said in describe_trouble(OSError(answer), "s3://b/x")
