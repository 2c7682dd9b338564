"""The launch files follow the schemas of the programs that read them, agree with each other, and hold no secrets.

cluster/README.md says which of them have been run; these tests check what can be known without machines.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray
import yaml
from ray.autoscaler._private.command_runner import SSHCommandRunner

from tests.cluster.launched import BULKY, SECRETS, SHIPPED
from tests.places import ROOT

FOLDER = ROOT / "cluster"
LAUNCHER = ("onprem", "aws", "gcp")
RAY = Path(ray.__file__).parent / "autoscaler"
KUBERNETES = "1.34"

RAY_JOB = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "ray.io/v1"},
        "kind": {"const": "RayJob"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "required": ["entrypoint", "rayClusterSpec"],
            "additionalProperties": False,
            "properties": {
                "entrypoint": {"type": "string"},
                "activeDeadlineSeconds": {"type": "integer", "minimum": 1},
                "backoffLimit": {"type": "integer", "minimum": 0},
                "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
                "shutdownAfterJobFinishes": {"type": "boolean"},
                "ttlSecondsAfterFinished": {"type": "integer", "minimum": 0},
                "rayClusterSpec": {
                    "type": "object",
                    "required": ["headGroupSpec"],
                    "additionalProperties": False,
                    "properties": {
                        "rayVersion": {"type": "string"},
                        "authOptions": {"type": "object", "properties": {"mode": {"enum": ["token", "disabled"]}}},
                        "headGroupSpec": {"$ref": "#/definitions/group"},
                        "workerGroupSpecs": {
                            "type": "array",
                            "items": {"$ref": "#/definitions/workers"},
                        },
                    },
                },
            },
        },
    },
    "definitions": {
        "parameters": {"type": "object", "additionalProperties": {"type": "string"}},
        "group": {
            "type": "object",
            "required": ["rayStartParams", "template"],
            "additionalProperties": False,
            "properties": {"rayStartParams": {"$ref": "#/definitions/parameters"}, "template": {"type": "object"}},
        },
        "workers": {
            "type": "object",
            "required": ["groupName", "rayStartParams", "template"],
            "additionalProperties": False,
            "properties": {
                "groupName": {"type": "string"},
                "replicas": {"type": "integer", "minimum": 0},
                "minReplicas": {"type": "integer", "minimum": 0},
                "maxReplicas": {"type": "integer", "minimum": 0},
                "rayStartParams": {"$ref": "#/definitions/parameters"},
                "template": {"type": "object"},
            },
        },
    },
}
"""Written by hand after KubeRay's rayjob_types.go and raycluster_types.go: the fields that our file uses and no others,
and which are required. No package has KubeRay's whole schema; pods are checked against Kubernetes' own."""


def read(name: str) -> dict[str, Any]:
    """A launch file, parsed."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return found


def test_the_command_of_the_readme_finds_its_file() -> None:
    assert (ROOT / "cluster.yaml").is_symlink()
    assert (ROOT / "cluster.yaml").resolve() == FOLDER / "onprem.yaml"


@pytest.mark.parametrize("name", LAUNCHER)
def test_a_file_follows_ray_s_schema(name: str) -> None:
    jsonschema.validate(read(name), json.loads((RAY / "ray-schema.json").read_text()))


@pytest.mark.parametrize("name", LAUNCHER)
def test_a_folder_that_is_mounted_exists_and_a_whole_checkout_never_is(name: str) -> None:
    """Ray reads all of a mounted folder at each `ray up`: with "." that would be .venv, and what is secret."""
    mounts = {remote: local for remote, local in read(name)["file_mounts"].items() if not local.startswith("~")}
    assert {"enhance", "sweeps", "analysis", "pyproject.toml", "constraints.txt"} <= set(mounts.values())
    for remote, local in mounts.items():
        assert remote == f"~/teststrip/{local}"
        assert (ROOT / local).exists()


@pytest.mark.parametrize("name", LAUNCHER)
def test_a_cluster_asks_for_a_token_and_shows_its_dashboard_to_nobody(name: str) -> None:
    config = read(name)
    commands = " ".join([*config["setup_commands"], *config["head_start_ray_commands"]])
    assert "RAY_AUTH_MODE=token" in commands
    assert "chmod 600 ~/.ray/auth_token" in commands
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert re.findall(r"--dashboard-host=(\S+)", commands) == ["127.0.0.1"]


def test_the_launcher_s_files_differ_only_where_their_providers_do() -> None:
    """The part that all clusters share is repeated in each file, since Ray's files cannot include one another."""
    files = {name: read(name) for name in LAUNCHER}
    cloud = [command for command in files["aws"]["setup_commands"][1:] if "ensurepip" not in command]
    assert cloud == files["onprem"]["setup_commands"][1:]
    for part in ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands"):
        assert files["gcp"][part][1:] == files["aws"][part][1:]
    for part in ("file_mounts", "rsync_exclude", "rsync_filter"):
        assert files["aws"][part] == files["gcp"][part] == files["onprem"][part]
    without = files["onprem"]["head_start_ray_commands"][1].replace("export RAY_enable_autoscaler_v2=0; ", "")
    assert without == files["aws"]["head_start_ray_commands"][1]


@pytest.mark.parametrize("name", LAUNCHER)
def test_settings_reach_the_scripts(name: str) -> None:
    """The names that the engine reads, and a place for ledgers that the file's kind of cluster has."""
    first, *others = read(name)["setup_commands"]
    assert "TESTSTRIP_RUNS=" + {"onprem": "/", "aws": "s3://", "gcp": "gs://"}[name] in first
    assert "TESTSTRIP_ADDRESS=auto" in " ".join(others)


def test_what_ray_leaves_out_of_a_mounted_folder_is_what_must_not_leave(tmp_path: Path) -> None:
    """A real rsync with the arguments that Ray derives from the file, but onto this machine instead of another one."""
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    source, target = tmp_path / "source", tmp_path / "target"
    wanted = ("enhance/nets/resnet.py", "sweeps/fast_arch.py", "analysis/papers.csv")
    for path in (*wanted, *SECRETS, *BULKY):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text("\n")
    shutil.copy(ROOT / ".gitignore", source)
    options = {name: read("onprem")[name] for name in ("rsync_exclude", "rsync_filter")}
    arguments = SSHCommandRunner._create_rsync_filter_args(None, options)
    subprocess.run(["rsync", "-a", *arguments, f"{source}/", f"{target}/"], check=True)
    arrived = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert arrived == {*wanted, ".gitignore"}


@pytest.mark.parametrize("folder", SHIPPED)
def test_no_secret_lies_in_a_shipped_folder(folder: str) -> None:
    suspicious = re.compile(r"(^\.env|\.pem$|\.key$|^id_|_rsa$|_ed25519$|^\.netrc$)")
    assert [path for path in (ROOT / folder).rglob("*") if suspicious.search(path.name)] == []


def test_the_ray_job_is_one_that_kuberay_and_kubernetes_take() -> None:
    job = read("kuberay")
    jsonschema.validate(job, RAY_JOB)
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert set(group["template"]) <= {"metadata", "spec"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": group["template"]["spec"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        mounted = {mount["name"] for mount in group["template"]["spec"]["containers"][0]["volumeMounts"]}
        assert mounted == {volume["name"] for volume in group["template"]["spec"]["volumes"]}
    assert cluster["authOptions"] == {"mode": "token"}
    workers = cluster["workerGroupSpecs"][0]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]


def test_a_mistake_in_the_ray_job_is_seen() -> None:
    """The schemas above are not so wide that everything passes."""
    job = read("kuberay")
    job["spec"]["shutdownAfterJobFinished"] = job["spec"].pop("shutdownAfterJobFinishes")
    with pytest.raises(jsonschema.ValidationError, match="shutdownAfterJobFinished"):
        jsonschema.validate(job, RAY_JOB)
    spec = read("kuberay")["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    spec["containers"][0]["volumeMount"] = spec["containers"][0].pop("volumeMounts")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": spec}
    with pytest.raises(kubernetes_validate.ValidationError, match="volumeMount"):
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_ray_has_one_version_everywhere() -> None:
    (pinned,) = re.findall(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    assert read("kuberay")["spec"]["rayClusterSpec"]["rayVersion"] == pinned
    assert ray.__version__ == pinned


def test_scripts_and_options_that_the_files_name_exist() -> None:
    for path in [*FOLDER.glob("*.yaml"), FOLDER / "slurm.sbatch", FOLDER / "README.md"]:
        for script in re.findall(r"sweeps/[a-z_]+\.py", path.read_text()):
            assert (ROOT / script).is_file(), f"{path.name} names {script}"


def test_the_slurm_script_is_one_that_bash_reads_and_refuses_what_cannot_work(tmp_path: Path) -> None:
    script = str(FOLDER / "slurm.sbatch")
    subprocess.run(["bash", "-n", script], check=True)
    for arguments, said in ((), "usage:"), (("sweeps/fast_arch.py",), "no .venv/bin/python"):
        done = subprocess.run(["bash", script, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert said in done.stdout


def test_the_image_holds_what_is_installed_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    lines = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    assert names == let_in
    assert all((ROOT / name).exists() for name in names)
    assert "*" in lines
    assert lines.index("**/.env*") > lines.index("!enhance")  # later lines win
