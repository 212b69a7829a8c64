"""The cluster files: what Ray and AWS would refuse, what would open a door, what would cost."""

import re
import shlex
import tomllib
from functools import cache

import pytest
import yaml
from botocore.session import get_session
from botocore.validate import ParamValidator
from commands import ROOT, run_script
from packaging.requirements import Requirement
from packaging.specifiers import Specifier
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli as ray_command

FILES = ["cluster.yaml", "cluster.local.yaml"]
DOCUMENTS = sorted((ROOT / "docs" / "cluster").glob("*.md"))


def load(name):
    return yaml.safe_load((ROOT / name).read_text())


def node_types():
    return load("cluster.yaml")["available_node_types"].items()


@pytest.fixture(params=FILES)
def name(request):
    return request.param


def test_ray_accepts_the_file(name):
    validate_config(prepare_config(load(name)))


def test_ray_refuses_what_is_misspelled(name):
    with pytest.raises(Exception, match="idle_timeout_minuets"):
        validate_config(prepare_config(load(name) | {"idle_timeout_minuets": 1}))


def complaints(node_config):
    """What AWS's description of RunInstances has against a node's config."""
    shape = get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    report = ParamValidator().validate({**node_config, "MinCount": 1, "MaxCount": 1}, shape)
    return report.generate_report()


@pytest.mark.parametrize(("kind", "about"), node_types())
def test_aws_knows_every_key_of_a_node(kind, about):
    """Ray's schema looks into no node_config: a key misspelled there fails at the first launch."""
    assert complaints(about["node_config"]) == ""
    assert "InstanceTyp" in complaints({"InstanceTyp": "g5.xlarge"})
    assert "VolumSize" in complaints({"BlockDeviceMappings": [{"Ebs": {"VolumSize": 1}}]})


@pytest.mark.parametrize(("kind", "about"), node_types())
def test_a_node_is_closed_to_the_world_and_has_a_role(kind, about):
    """Without SecurityGroupIds, Ray makes a group that lets everybody try to log in."""
    config = about["node_config"]
    assert config["SecurityGroupIds"]
    assert config["IamInstanceProfile"]["Name"] == (
        "dbray-head" if kind == "head" else "dbray-worker"
    )
    assert config["MetadataOptions"]["HttpTokens"] == "required"


def test_nothing_opens_a_port_to_the_world(name):
    assert "security_group" not in load(name)["provider"]  # its rules would join Ray's open one
    for text in (path.read_text() for path in (ROOT / name, *DOCUMENTS)):
        assert "0.0.0.0" not in text  # noqa: S104
        assert "::/0" not in text


def test_an_idle_cluster_is_its_head():
    config = load("cluster.yaml")
    workers = {kind: about for kind, about in node_types() if kind != config["head_node_type"]}
    assert all(about["min_workers"] == 0 for about in workers.values())
    assert sum(about["max_workers"] for about in workers.values()) == config["max_workers"]
    assert 0 < config["idle_timeout_minutes"] <= 30
    assert config["provider"]["cache_stopped_nodes"] is False
    for about in config["available_node_types"].values():
        assert about["node_config"]["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"]


def test_the_head_runs_no_trial_and_stays():
    head = load("cluster.yaml")["available_node_types"]["head"]
    assert head["resources"] == {"CPU": 0}
    assert "InstanceMarketOptions" not in head["node_config"]


def test_nodes_know_each_other_by_the_users_token(name):
    config = load(name)
    mounts = {to: at for to, at in config["file_mounts"].items() if to.endswith("/auth_token")}
    assert list(mounts.values()) == ["~/.ray/auth_token"]
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        (start,) = (command for command in commands if "ray start" in command)
        assert "RAY_AUTH_MODE=token ray start" in start


def test_the_dashboard_listens_on_the_head_alone(name):
    (start,) = (c for c in load(name)["head_start_ray_commands"] if "ray start" in c)
    assert "--dashboard-host=127.0.0.1" in shlex.split(start)
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in shlex.split(start)


def test_there_is_no_secret_in_the_file(name):
    text = (ROOT / name).read_text()
    assert not re.search(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|aws_secret|PRIVATE KEY", text)
    assert not re.search(r"RAY_AUTH_TOKEN\b|\b[0-9a-f]{32,}\b", text)
    assert "aws_credentials" not in load(name)["provider"]


def test_what_is_copied_to_the_nodes_can_be_installed(name):
    """Every file that the build of the package reads is among those that are copied."""
    mounts = {at: to for to, at in load(name)["file_mounts"].items() if "/dbray/" in to}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {"pyproject.toml", project["project"]["readme"], *packages} <= set(mounts)
    assert all((ROOT / at).exists() for at in mounts)
    (home,) = {to.removesuffix(f"/{at}") for at, to in mounts.items()}
    assert f'pip install -q "{home}[cluster]"' in " ".join(load(name)["setup_commands"])


@pytest.mark.parametrize("package", ["torch", "torchvision", "ray"])
def test_nodes_get_versions_that_the_project_accepts(name, package):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["cluster"]]
    accepted = [r.specifier for r in map(Requirement, asked) if r.name == package]
    installs = [c for c in load(name)["setup_commands"] if "pip install" in c]
    words = [word for command in installs for word in shlex.split(command)]
    (installed,) = [Requirement(word) for word in words if re.match(rf"{package}[\[=<>]", word)]
    versions = [Specifier(str(s)) for s in installed.specifier if s.operator in ("==", ">=")]
    assert versions
    assert all(s.version in specifier for s in versions for specifier in accepted)
    bounded = {s.operator for s in installed.specifier}
    assert bounded & {"==", "<"}, "nodes that start later would get another version"


def test_both_files_install_the_same():
    aws, own = (load(name)["setup_commands"][-2] for name in FILES)
    assert aws == own


@cache
def commands():
    """Commands in the documents' shell blocks, each as its words."""
    text = "\n".join(path.read_text() for path in DOCUMENTS)
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def test_the_documents_studies_use_options_that_exist(tmp_path):
    found = [words for words in commands() if any(w.startswith("sweeps/") for w in words)]
    assert found
    helps = {}
    for words in found:
        at = next(n for n, word in enumerate(words) if word.startswith("sweeps/"))
        script = words[at]
        if script not in helps:
            helps[script] = run_script(script, "--help", cwd=tmp_path).stdout
        known = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", helps[script]))
        options = {word for word in words[at + 1 :] if word.startswith("--")}
        assert options <= known, f"{shlex.join(words)}: {options - known}"


def test_the_documents_ray_commands_exist():
    found = [words[words.index("ray") + 1 :] for words in commands() if "ray" in words]
    assert {words[0] for words in found} >= {"up", "down", "dashboard", "job"}
    for words in found:
        command, rest = ray_command, words[: words.index("--") if "--" in words else None]
        while rest and rest[0] in getattr(command, "commands", {}):
            command, rest = command.commands[rest[0]], rest[1:]
        known = [option for parameter in command.params for option in parameter.opts]
        assert not hasattr(command, "commands"), words
        assert all(word.split("=")[0] in known for word in rest if word.startswith("-")), words
        assert all(word in FILES for word in rest if word.endswith(".yaml")), words


def test_every_platform_has_a_page_of_the_same_shape():
    shape = [
        *("Before you start", "One command", "Watch it", "What it costs", "Fetch the page"),
        "When it breaks",
    ]
    for document in DOCUMENTS:
        headings = re.findall(r"^## (.*)", document.read_text(), re.MULTILINE)
        assert headings[:6] == shape, document
