"""A cluster of real hosts, started as a user starts one: `ray up cluster.yaml` with the shipped file."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.cluster.hosts import Host, Hosts, lacking
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


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that the laptop has started: Ray runs on the hosts head, one and two."""
    reason = lacking()
    if reason:
        pytest.skip(reason)
    lab = tmp_path_factory.mktemp("lab")
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
