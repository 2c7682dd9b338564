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
    """Four hosts on one network: `laptop` has the repository, the others are named in its cluster.yaml."""

    hosts: Hosts
    shared: Path

    @property
    def laptop(self) -> Host:
        return self.hosts["laptop"]

    def type(self, command: str) -> str:
        """What the user types in the repository's root on the laptop, and what is printed."""
        return self.laptop.run(typed(command))


def typed(command: str) -> str:
    """A command in the repository on the laptop, with the `ray` of the environment that these tests run in."""
    return f"cd ~/repository; export PATH={sys.prefix}/bin:$PATH; {command}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Ray runs on head, one and two; the laptop has started it."""
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
    """The project as it stands, the values at the top of cluster/onprem.yaml set, and things that must not leave."""
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
    """The shipped configuration with its first values changed as its comments say.

    One thing more: the hosts reach no package registry. Where the file makes a virtual environment and installs into
    it, they make one that sees the packages of this test's own; the project in it is the shipped copy, not this
    checkout.
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
    """A virtual environment whose packages are this one's, but for the project, which is the copy in ~/teststrip."""
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
