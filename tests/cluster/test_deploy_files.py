"""What is in deploy/: batch files do what they say, the others are what their readers accept."""

import gzip
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import tomllib
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml
from commands import ROOT, run_script
from ray.scripts.symmetric_run import symmetric_run

DEPLOY = ROOT / "deploy"
SHARED = ROOT.parent / "shared" / "data" / "kuberay_rayjob_crd.yaml.gz"
CRD = Path(os.environ.get("KUBERAY_RAYJOB_CRD", SHARED))  # which KubeRay publishes, compressed
BATCH = ["slurm.sbatch", "slurm_array.sbatch"]


def versions(text):
    """Requirements of Ray, torch and torchvision in a file."""
    return set(re.findall(r'"((?:ray\[default\]|torch|torchvision)[=<>][^"]*)"', text))


def options_exist(words, tmp_path):
    """Whether the study that a file names takes the options that it gives."""
    at = next(n for n, word in enumerate(words) if word.startswith("sweeps/"))
    help_text = run_script(words[at], "--help", cwd=tmp_path).stdout
    given = {word for word in words[at + 1 :] if word.startswith("--")}
    return given <= set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", help_text))


@pytest.mark.parametrize("name", ["Dockerfile", "skypilot.yaml"])
def test_every_machine_gets_the_versions_of_the_cluster_file(name):
    found = versions((DEPLOY / name).read_text())
    assert len(found) == 3
    assert found == versions((ROOT / "cluster.yaml").read_text())


@pytest.mark.parametrize("name", sorted(path.name for path in DEPLOY.iterdir()))
def test_nothing_in_a_file_is_a_secret(name):
    text = (DEPLOY / name).read_text()
    assert not re.search(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|aws_secret|PRIVATE KEY|[0-9a-f]{32}", text)


# SLURM


@pytest.fixture
def batch(tmp_path):
    """Start a batch file as SLURM does, on a machine whose commands write down what they get."""
    commands = tmp_path / "bin"
    commands.mkdir()
    said = tmp_path / "said"
    study = f'echo "$(basename "$0") $*" >>{said}; sleep "${{TAKES:-0}}"; exit "${{STATUS:-0}}"'
    bodies = {
        "srun": f'echo "srun $(echo "$*" | sed "s|/[^ ]*/tmp[.][^ ]*|FILE|")" >>{said}\n'
        '[ -z "$LOST" ] || exit 0\nwhile [ "$1" != -- ]; do shift; done; shift; "$@"',
        "python": study,
        "ray": 'echo "a secret token"',
        "scontrol": f'if [ "$1" = show ]; then printf "one\\ntwo\\n"; '
        f'else echo "scontrol $*" >>{said}; fi',
        "activate": "",
    }
    for name, body in bodies.items():
        (commands / name).write_text(f"#!/bin/sh\n{body}\n")
        (commands / name).chmod(0o755)

    def start(name, **variables):
        process = subprocess.Popen(
            ["bash", str(DEPLOY / name), "sweeps/arch_repro.py", "--name", "two words"],
            env={
                "PATH": f"{commands}:{os.environ['PATH']}",
                "VIRTUAL_ENV": str(tmp_path),
                "SLURM_JOB_ID": "7",
                "SLURM_JOB_NODELIST": "one,two",
                "SLURM_JOB_NUM_NODES": "2",
                "SLURM_ARRAY_TASK_ID": "3",
                "SLURM_ARRAY_TASK_COUNT": "8",
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return process, said

    return start


EXPECTED = {
    "slurm.sbatch": "srun --cpu-bind=none ray symmetric-run --address one:6379 --min-nodes 2 "
    """-- bash -c python "${@:2}"; echo $? >"$1" study FILE sweeps/arch_repro.py --name two words
python sweeps/arch_repro.py --name two words
""",
    "slurm_array.sbatch": "python sweeps/arch_repro.py --name two words --cluster local "
    "--share 3/8\n",
}


@pytest.mark.parametrize("name", BATCH)
@pytest.mark.parametrize("status", [0, 1])
def test_a_batch_file_runs_the_study_that_it_is_given_and_ends_as_it_does(batch, name, status):
    process, said = batch(name, STATUS=str(status))
    out, _ = process.communicate(timeout=30)
    assert process.returncode == status
    assert said.read_text() == EXPECTED[name]
    assert out == ""  # no token in the log


def test_a_ray_that_did_not_start_is_no_success(batch):
    """As `ray symmetric-run` ends with 0 then."""
    process, said = batch("slurm.sbatch", LOST="1")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Ray did not start on all nodes" in out
    assert "\npython" not in said.read_text()


@pytest.mark.parametrize("name", BATCH)
def test_a_job_whose_time_is_nearly_up_is_queued_again_before_it_ends(batch, name):
    process, said = batch(name, TAKES="2")
    while not said.exists() or "python sweeps" not in said.read_text():
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    out, _ = process.communicate(timeout=30)
    assert "scontrol requeue 7\n" in said.read_text()
    assert "job 7 goes back into the queue" in out


@pytest.mark.parametrize("name", BATCH)
def test_what_a_batch_file_asks_slurm_for(name):
    lines = (DEPLOY / name).read_text().splitlines()
    asked = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    first = next(n for n, line in enumerate(lines) if line and not line.startswith("#"))
    assert all(n < first for n, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert {"--requeue", "--open-mode=append", "--signal=B:USR1@120"} <= set(asked)
    if name == "slurm.sbatch":
        assert {"--exclusive", "--ntasks-per-node=1", "--mem=0"} <= set(asked)


def test_symmetric_run_has_the_options_that_are_used():
    known = {option for parameter in symmetric_run.params for option in parameter.opts}
    used = set(
        re.findall(r"--[a-z-]+", EXPECTED["slurm.sbatch"].partition(" -- ")[0])
    )  # before the study
    assert used - {"--cpu-bind"} <= known


# Kubernetes


@cache
def documents():
    return list(yaml.safe_load_all((DEPLOY / "rayjob.yaml").read_text()))


def groups():
    cluster = documents()[1]["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def strict(schema):
    """A schema that refuses what it does not know, as `kubectl apply` does."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(part) for name, part in schema.items()}
    if "properties" in found and not found.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


@pytest.fixture(scope="module")
def published():
    """KubeRay's own schema of a RayJob."""
    if not CRD.exists():
        pytest.skip(f"no {CRD}; KUBERAY_RAYJOB_CRD says where KubeRay's schema is")
    definition = yaml.load(gzip.decompress(CRD.read_bytes()), yaml.CSafeLoader)
    (version,) = (v for v in definition["spec"]["versions"] if v["name"] == "v1")
    return jsonschema.Draft202012Validator(strict(version["schema"]["openAPIV3Schema"]))


def test_kuberay_accepts_the_job(published):
    assert [error.message for error in published.iter_errors(documents()[1])] == []


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        (("spec",), "ttlSecondsAfterFinish", 1),
        (("spec",), "backoffLimit", "three"),
        (("spec", "rayClusterSpec", "authOptions"), "mode", "tokens"),
        (("spec", "rayClusterSpec", "workerGroupSpecs", 0), "minReplica", 0),
        (("spec", "rayClusterSpec", "headGroupSpec", "template", "spec"), "tolerance", []),
    ],
)
def test_kuberay_refuses_what_is_misspelled(published, place, name, value):
    job = yaml.safe_load(yaml.safe_dump(documents()[1]))
    part = job
    for step in place:
        part = part[step]
    part[name] = value
    assert list(published.iter_errors(job))


def test_a_job_is_begun_again_and_leaves_nothing():
    spec = documents()[1]["spec"]
    assert spec["backoffLimit"] > 0
    assert spec["shutdownAfterJobFinishes"] is True
    assert 0 < spec["ttlSecondsAfterFinished"] <= 3600
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"] is True
    assert all(group["minReplicas"] == 0 < group["maxReplicas"] for group in groups()[1:])


def test_the_head_runs_no_trial_and_a_gpu_worker_has_one_gpu():
    head, gpu, cpu = groups()
    assert head["rayStartParams"] == {"num-cpus": "0"}
    limits = [g["template"]["spec"]["containers"][0]["resources"]["limits"] for g in (gpu, cpu)]
    assert [limit.get("nvidia.com/gpu", 0) for limit in limits] == [1, 0]
    assert int(limits[0]["cpu"]) >= 2  # of a trial of the paper's preset


def test_every_pod_is_of_one_image_and_nobodys_root():
    account, job = documents()
    for group in groups():
        pod = group["template"]["spec"]
        assert pod["serviceAccountName"] == account["metadata"]["name"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["restartPolicy"] == "Never"
        (container,) = pod["containers"]
        assert container["image"] == groups()[0]["template"]["spec"]["containers"][0]["image"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
    version = job["spec"]["rayClusterSpec"]["rayVersion"]
    assert f'"ray[default]=={version}"' in (DEPLOY / "Dockerfile").read_text()


def test_the_jobs_study_has_the_options_that_it_is_given(tmp_path):
    assert options_exist(shlex.split(documents()[1]["spec"]["entrypoint"]), tmp_path)


def test_the_image_holds_all_that_is_installed_and_ends_without_root():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = {word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {"pyproject.toml", project["project"]["readme"], *packages, "sweeps"} <= copied
    assert all((ROOT / name).exists() for name in copied)
    assert [line for line in lines if line.startswith("USER")] == ["USER 1000"]
    (base,) = (line for line in lines if line.startswith("FROM"))
    assert re.fullmatch(r"FROM python:3\.\d+\.\d+-slim-\w+", base)


def test_a_linter_has_nothing_against_the_image():
    if not shutil.which("hadolint"):
        pytest.skip('no hadolint: pip install ".[dev]"')
    ended = subprocess.run(
        ["hadolint", str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert ended.stdout == ""
    assert ended.returncode == 0


# SkyPilot


def test_skypilots_machines_share_a_token_and_one_of_them_runs_the_study(tmp_path):
    task = yaml.safe_load((DEPLOY / "skypilot.yaml").read_text())
    assert task["envs"]["RAY_AUTH_MODE"] == "token"
    assert task["secrets"] == {"RAY_AUTH_TOKEN": None}
    assert task["num_nodes"] > 1
    for script in (task["setup"], task["run"]):
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    start, study = task["run"].index("start_cluster"), task["run"].index("python $STUDY")
    assert start < task["run"].index('"$SKYPILOT_NODE_RANK" = 0') < study
    (line,) = (line for line in task["run"].splitlines() if "python $STUDY" in line)
    assert options_exist(shlex.split(line.replace("$STUDY", task["envs"]["STUDY"])), tmp_path)
