"""Studies on object storage: real servers over HTTP, their refusals and their bad days."""

import os
import pickle
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from commands import run_script
from in_process import own_ray, run_here
from object_stores import (
    DENIED,
    KEY,
    SECRET,
    Proxy,
    environment,
    free_port,
    google,
    moto,
    rclone,
)
from tiny_study import CONFIG, DESCRIBED, commit, labels

from dbray.errors import StorageError, UserError
from dbray.jobs import TABLES
from dbray.store import (
    Folder,
    create_or_extend,
    open_folder,
    open_study,
    read_label_maps,
    state_folder,
)
from dbray.store.s3 import S3

BUCKET = "s3://studies/some/where"
SMALL = (
    *("--arch", "mlp", "fcnet", "--epochs", "1", "--planes", "3", "--resolution", "10"),
    *("--picture-planes", "0", "--picture-resolution", "20"),
)


@pytest.fixture(scope="session")
def moto_url():
    with moto() as url:
        yield url


@pytest.fixture(scope="module")
def checking_url(tmp_path_factory):
    buckets = tmp_path_factory.mktemp("buckets")
    (buckets / "studies").mkdir()
    with rclone(buckets) as url:
        yield url


@pytest.fixture
def proxy(moto_url):
    front = Proxy(moto_url)
    yield front
    front.close()


@pytest.fixture
def reach(monkeypatch):
    """Point the environment at a server."""

    def to(url, **credentials):
        for name, value in environment(url, **credentials).items():
            monkeypatch.setenv(name, value)

    return to


@pytest.fixture(scope="module")
def ray_there(moto_url):
    """A Ray whose processes reach the server that speaks S3; Google's needs no variables."""
    with own_ray(environment(moto_url)):
        yield


def scores(storage):
    study = open_study(storage, "arch_repro")
    return {name: study.folder.read(f"scores/{name}.parquet") for name in TABLES}


@pytest.fixture(scope="module")
def main_job(ray_there, moto_url, tmp_path_factory):
    """The main job on S3, again, and extended; then in a directory, all at once."""
    place = tmp_path_factory.mktemp("main_job")
    ended, tables = {}, {}
    with mock.patch.dict(os.environ, environment(moto_url)):
        for step, seeds, storage in (
            ("first", "1", BUCKET),
            ("again", "1", BUCKET),
            ("extended", "2", BUCKET),
            ("at once", "2", str(place)),
        ):
            more = ("--seeds", seeds, "--storage", storage)
            ended[step] = run_here("sweeps/arch_repro.py", *SMALL, *more, cwd=place)
            assert ended[step].returncode == 0, ended[step].stderr
            tables[step] = scores(storage)
    return ended, tables


def test_the_main_job_goes_on_and_gives_the_scores_that_it_gives_in_a_directory(main_job):
    ended, tables = main_job
    assert ended["first"].stdout == f"report: {BUCKET}/arch_repro/report/index.html\n"
    assert "2 trials, 2 to do" in ended["first"].stderr
    assert "2 trials, 0 to do" in ended["again"].stderr
    assert tables["again"] == tables["first"]
    assert "4 trials, 2 to do" in ended["extended"].stderr
    assert tables["extended"] == tables["at once"]


@pytest.mark.usefixtures("main_job")
def test_no_object_holds_the_key_and_nothing_of_tune_is_left(moto_url, reach):
    reach(moto_url)
    folder = open_folder(BUCKET)
    objects = folder.files()
    assert "arch_repro/report/index.html" in objects
    assert [path for path in objects if "/.tune/" in path] == []
    for path in objects:
        assert SECRET.encode() not in folder.read(path), path


@pytest.mark.usefixtures("main_job")
def test_the_report_is_made_again_where_the_study_lies(proxy, reach, tmp_path):
    reach(proxy.url)
    page = "arch_repro/report/index.html"
    open_folder(BUCKET).delete(page)
    proxy.requests.clear()
    ended = run_script("analysis/report.py", f"{BUCKET}/arch_repro", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"report: {BUCKET}/{page}\n"
    requests = [*proxy.requests]
    sent = [path for method, path in requests if method == "GET"]
    assert len(sent) == len({*sent})  # no file, and no listing, is fetched twice
    files = open_folder(f"{BUCKET}/arch_repro").files()
    assert page in {f"arch_repro/{path}" for path in files}
    read = [path for path in files if not path.endswith((".safetensors", ".html"))]
    assert len(requests) <= 2 * len(read) + 4


def test_a_commit_takes_three_requests_a_file(proxy, reach):
    """Each is written and read back; a listing, the config and the commit itself come to it."""
    reach(proxy.url)
    study = create_or_extend("s3://studies/commits", "study", DESCRIBED)
    files = dict.fromkeys(("history.parquet", "model.safetensors", "predictions.parquet"), b"some")
    proxy.requests.clear()
    assert commit(study, files)
    assert len(proxy.requests) <= 3 * len(files) + 3
    proxy.requests.clear()
    assert commit(study, files)  # it is there: a look, and two records read
    assert len(proxy.requests) <= 5


@pytest.mark.usefixtures("ray_there")
def test_the_main_job_on_googles_storage(tmp_path):
    with google() as bucket:
        command = ("sweeps/arch_repro.py", *SMALL, "--seeds", "1", "--storage", bucket)
        ended = run_here(*command, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        page = "arch_repro/report/index.html"
        assert ended.stdout == f"report: gs://studies/some/where/{page}\n"
        assert "2 trials, 0 to do" in run_here(*command, cwd=tmp_path).stderr
        assert open_folder(bucket).read(page).startswith(b"<!doctype html>")


def test_trials_on_a_server_that_checks_signatures(checking_url, reach):
    reach(checking_url)
    study = create_or_extend("s3://studies/prefix", "study", DESCRIBED)
    assert study.committed() == []
    assert commit(study)
    study = open_study("s3://studies/prefix", "study")
    (trial,) = study.committed()
    np.testing.assert_array_equal(read_label_maps(study, trial, 1, 3), labels()[1:3])
    study.write_bytes(f"trials/{CONFIG.trial_id}/predictions.parquet", b"half")
    assert "has 4 bytes" in study.inventory().damaged[CONFIG.trial_id]
    create_or_extend("s3://studies/prefix", "study", DESCRIBED)


def test_tunes_state_lies_here_where_folders_cannot_be_made(checking_url, moto_url, reach):
    reach(moto_url)
    study = create_or_extend("s3://studies/state", "study", DESCRIBED)
    assert state_folder(study.folder) == study.folder.below(".tune")
    reach(checking_url)
    study = create_or_extend("s3://studies/state", "study", DESCRIBED)
    here = state_folder(study.folder)
    assert here.is_local
    Path(here.root).rmdir()
    assert open_study("s3://studies/state", "study").info["planes"] == DESCRIBED["planes"]


def test_wrong_credentials_are_one_line_that_holds_none_of_them(checking_url, tmp_path):
    env = environment(checking_url, secret="another")  # noqa: S106
    at = ("--storage", "s3://studies/prefix", "--name", "refused")
    ended = run_script("sweeps/arch_repro.py", *at, cwd=tmp_path, env=env)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(
        "error: storage s3://studies/prefix/refused: the credentials are refused"
    )
    assert "check AWS_ACCESS_KEY_ID" in line
    assert "another" not in line


def refusal(storage):
    with pytest.raises(UserError) as caught:
        create_or_extend(storage, "study", DESCRIBED)
    (line,) = str(caught.value).splitlines()
    return line


def test_a_key_that_nobody_knows(checking_url, reach):
    reach(checking_url, key="another")
    assert "the credentials are refused" in refusal("s3://studies/prefix")


def test_a_bucket_that_is_not_there(moto_url, reach):
    reach(moto_url)
    said = refusal("s3://absent/prefix")
    assert said.startswith("storage s3://absent/prefix/study: there is no such bucket; create it")


def test_a_server_that_is_not_there(reach):
    reach(f"http://127.0.0.1:{free_port()}")
    said = refusal("s3://studies/prefix")
    assert "does not answer (Could not connect to server)" in said
    assert "AWS_ENDPOINT_URL" in said


@pytest.mark.parametrize(
    ("only", "answer", "said"),
    [
        ("list-type", (403, DENIED), "access is denied"),  # writing is allowed, listing is not
        ("/study/", (403, DENIED), "access is denied"),
        ("/study/", (500, b""), "the server failed"),
    ],
)
def test_what_a_place_does_not_allow_is_found_at_the_start(proxy, reach, only, answer, said):
    reach(proxy.url)
    proxy.failures, proxy.only, proxy.answer = 1000, only, answer
    assert said in refusal("s3://studies/not_allowed")
    proxy.failures = 0
    assert not open_folder("s3://studies/not_allowed/study").exists("study.json")


def test_a_throttled_request_is_sent_again_by_a_folder_from_another_process(proxy, reach):
    """Three refusals: one more than pyarrow stands, and than a pickled client of its own would."""
    reach(proxy.url)
    folder = pickle.loads(pickle.dumps(open_folder("s3://studies/busy")))  # noqa: S301
    proxy.failures = 3
    folder.write("a.bin", b"abc")
    assert len(proxy.failed) == 3
    proxy.failures = 1
    assert folder.read("a.bin") == b"abc"
    proxy.failures = 1
    assert {path: file.size for path, file in folder.files().items()} == {"a.bin": 3}


@pytest.mark.parametrize(
    ("attempt", "path"),
    [
        (lambda folder: folder.write("a/b.bin", b"abc"), "a/b.bin"),
        (lambda folder: folder.read("a/b.bin"), "a/b.bin"),
        (lambda folder: folder.exists("a/b.bin"), "a/b.bin"),
        (lambda folder: folder.files("a"), "a"),
    ],
)
def test_a_server_that_stays_busy_is_one_line_with_the_objects_name(proxy, reach, attempt, path):
    reach(proxy.url)
    folder = open_folder("s3://studies/busy")
    proxy.failures = 1000
    with pytest.raises(StorageError) as caught:
        attempt(Folder(folder.filesystem.quick(), folder.root))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"s3://studies/busy/{path}: the server is too busy (503)")


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIAEXAMPLE:topsecret@bucket/prefix",
        "s3://AKIAEXAMPLE:top/secret@bucket/prefix",  # secrets may hold a slash
        "s3://topsecret@bucket/prefix",
        "s3://bucket/prefix?secret_key=topsecret",
        "gs://bucket/prefix?access_token=topsecret",
        "abfs://container:topsecret@account.dfs.core.windows.net/prefix",
    ],
)
def test_a_uri_with_credentials_is_refused_and_not_repeated(uri):
    with pytest.raises(UserError, match="do not belong in a URI") as caught:
        open_folder(uri)
    assert "secret" not in str(caught.value)
    assert "AKIA" not in str(caught.value)


def test_a_parameter_that_means_nothing_is_refused():
    with pytest.raises(UserError, match=r"\?endpoint= is none of endpoint_override"):
        open_folder("s3://bucket/prefix?endpoint=here")


def test_the_environment_is_read_as_the_aws_tools_read_it(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://one:9000")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    server = open_folder("s3://bucket/a").filesystem.server
    assert server == {"endpoint_override": "http://one:9000", "region": "eu-west-1"}
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://two:9000")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    folder = open_folder("s3://bucket/a%20b/")
    assert folder.filesystem.server == {
        "endpoint_override": "http://two:9000",
        "region": "us-west-2",
    }
    assert folder.filesystem.region == "us-west-2"
    assert folder.location == "s3://bucket/a b"
    given = open_folder("s3://bucket?region=x&endpoint_override=three:1&scheme=http").filesystem
    assert given.server == {"region": "x", "endpoint_override": "three:1", "scheme": "http"}


def test_a_pickled_folder_holds_no_key(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    folder = Folder(S3({"region": "us-east-1"}), "bucket")
    data = pickle.dumps(folder)
    assert SECRET.encode() not in data
    assert KEY.encode() not in data
    assert pickle.loads(data) == folder  # noqa: S301
