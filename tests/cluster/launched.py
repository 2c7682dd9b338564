"""A cluster of real hosts, started as a user starts one, and a sweep that is submitted to it from the laptop."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.cluster.hosts import Host, Hosts
from tests.patience import PATIENCE_S, wait_until
from tests.places import ROOT

SHIPPED = ("enhance", "sweeps", "analysis", "cluster")
FILES = ("pyproject.toml", "constraints.txt", "README.md", ".gitignore")
SECRETS = (".env", "enhance/.env.local", "sweeps/id_ed25519", "analysis/deploy.pem", "sweeps/.aws/credentials")
BULKY = ("runs/old/trials/part-0.parquet", ".venv/bin/python", "enhance/__pycache__/stale.pyc")


@dataclass(frozen=True)
class Cluster:
    """Four hosts on one network: `laptop` has the repository, and its cluster.yaml names the other three."""

    hosts: Hosts
    shared: Path

    @property
    def laptop(self) -> Host:
        """The user's own machine, which is not part of the Ray cluster."""
        return self.hosts["laptop"]

    def type(self, command: str) -> str:
        """Run a command in the repository's root on the laptop, as a user would, and return what it prints."""
        return self.laptop.run(typed(command))


def typed(command: str) -> str:
    """A command in the repository on the laptop, with the `ray` of the environment that these tests run in."""
    return f"cd ~/repository; export PATH={sys.prefix}/bin:$PATH; {command}"


@contextlib.contextmanager
def launched(lab: Path) -> Iterator[Cluster]:
    """Four hosts whose files are in `lab`, and Ray on three of them: the laptop has typed `ray up`."""
    (lab / "shared").mkdir()
    kept = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), Path(sys.prefix).absolute()}
    hosts = Hosts(("laptop", "head", "one", "two"), lab, sorted(kept))
    try:
        started = Cluster(hosts, lab / "shared")
        copy_repository(lab / "repository", hosts, lab)
        started.laptop.run(f"mv {lab}/repository ~/repository; cp {lab}/key ~/key")
        started.type("ray get-auth-token --generate > /dev/null; chmod 600 ~/.ray/auth_token; ray up -y cluster.yaml")
        yield started
    finally:
        hosts.close()
        shutil.rmtree(lab, ignore_errors=True)


def copy_repository(target: Path, hosts: Hosts, lab: Path) -> None:
    """Copy the project, set the values at the top of cluster/onprem.yaml, and add files that must not be shipped."""
    for folder in SHIPPED:
        shutil.copytree(ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, target / file)
    (target / "cluster.yaml").symlink_to(os.readlink(ROOT / "cluster.yaml"))
    for name in (*SECRETS, *BULKY):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text("stays at home\n")
    file = target / "cluster" / "onprem.yaml"
    file.write_text(yaml.safe_dump(with_values(yaml.safe_load(file.read_text()), hosts, lab), sort_keys=False))


def with_values(config: dict[str, object], hosts: Hosts, lab: Path) -> dict[str, object]:
    """The shipped configuration with the values at its top set, as its comments say.

    One more thing is changed, because the hosts cannot reach a package registry: instead of installing packages into a
    virtual environment, they make one that sees the packages of this test's own. The project in it is still the shipped
    copy, not this checkout.
    """
    workers = [hosts[name].address for name in ("one", "two")]
    provider = {"type": "local", "head_ip": hosts["head"].address, "worker_ips": workers}
    settings, *others = config["setup_commands"]  # type: ignore[misc]
    places = {"python3": sys._base_executable, "/mnt/teststrip/": f"{lab}/shared/"}  # type: ignore[attr-defined]
    for shipped, own in places.items():
        assert shipped in settings, "the settings at the top of cluster/onprem.yaml have changed"
        settings = settings.replace(shipped, own)
    settings += "; echo 'export RAY_USE_MULTIPROCESSING_CPU_COUNT=1' >> ~/.teststrip"  # the host's, not the machine's
    install = [command for command in others if "-m venv" in command or "pip install" in command]
    assert len(install) == 2, "cluster/onprem.yaml installs otherwise than this test knows"
    others = [command for command in others if command not in install]
    auth = {"ssh_user": "root", "ssh_private_key": "~/key"}
    return {**config, "provider": provider, "auth": auth, "setup_commands": [settings, *others, *offline_install()]}


def offline_install() -> list[str]:
    """Commands for a virtual environment with this one's packages, in which the project is the copy in ~/teststrip."""
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    python = "~/teststrip/.venv/bin/python"
    where = f"$({python} -c 'import site; print(site.getsitepackages()[0])')"
    return [
        "source ~/.teststrip; $PYTHON -m venv --without-pip ~/teststrip/.venv",
        f"printf '%s\\n' ~/teststrip {packages} > {where}/all.pth",
        f"printf '#!/bin/sh\\nexec {python} -m ray.scripts.scripts \"$@\"\\n' > ~/teststrip/.venv/bin/ray",
        "chmod +x ~/teststrip/.venv/bin/ray",
        f"cd /; {python} -c 'import sys, enhance; sys.exit(\"/teststrip/enhance\" not in enhance.__file__)'",
    ]


# --- a sweep -----------------------------------------------------------------------------------------------------

SWEEP = ["--reproducible", "--trials", "9", "--steps", "180", "--set", "net.channels=4", "--set", "train.val_images=6"]
SWEEP += ["--set", "train.crop_px=32", "--confirm", "1", "--confirm-seeds", "2", "--audit-share", "0.2"]
# Of 18 reports: each worker is at one of the last two trials of the second rung, and will wait for the other.
MIDDLE = 12


def run_alone(out: Path) -> None:
    """Write the sweep's ledger as one process does, without Ray or a network."""
    script = [sys.executable, "sweeps/optimizers.py", *SWEEP, "--workers", "0", "--out", str(out)]
    environment = {"TESTSTRIP_CACHE": str(out.parent / "cache"), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        script, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr


def submit(out: Path) -> str:
    """The command that submits the sweep from the laptop."""
    return typed(f"ray submit cluster.yaml sweeps/optimizers.py -- {' '.join(SWEEP)} --out {out}")


@dataclass
class Submitted:
    """A sweep that was submitted from the laptop, and the file with what the laptop's terminal shows."""

    process: subprocess.Popen[str]
    shown: Path

    def finish(self) -> None:
        """Wait for the end of the sweep, which must succeed."""
        try:
            assert self.process.wait(timeout=PATIENCE_S) == 0, self.shown.read_text()
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the sweep does not end\n{self.shown.read_text()[-5000:]}") from None


def submit_and_wait_for(cluster: Cluster, out: Path, reports: int) -> Submitted:
    """Submit the sweep, and return once the ledger has `reports` reports."""
    shown = out.with_suffix(".log")  # a pipe that nobody reads would stop the sweep when it is full
    with shown.open("w") as file:
        process = cluster.laptop.start(submit(out), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)

    def reported() -> bool:
        return len(list((out / "reports").glob("part-*.parquet"))) >= reports

    wait_until(lambda: process.poll() is not None or reported(), lambda: "there are too few reports")
    assert process.poll() is None, shown.read_text()
    return Submitted(process, shown)
