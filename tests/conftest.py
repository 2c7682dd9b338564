"""Settings for all tests: one temporary folder, no deadlines, and the demo data, packed once."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from enhance.data import PatchStore, open_data

# Neither the deadline nor the check for slow examples: both would fail tests for the machine's load.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

TEMPORARY = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the suite, with all its processes, a temporary folder of its own, so that leavings are seen."""
    if not hasattr(config, "workerinput"):  # the processes of xdist inherit it
        config.stash[TEMPORARY] = Path(tempfile.mkdtemp(prefix="ts-"))  # short: Ray puts sockets there
        os.environ["TMPDIR"] = str(config.stash[TEMPORARY])
        tempfile.tempdir = None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if a test left something behind. The folder of a suite that failed is kept to be looked at."""
    folder = session.config.stash.get(TEMPORARY, None)
    if folder is None:
        return
    # These go with the whole folder: pytest's own, the logs that Ray keeps of every session, the cache that torch makes
    # room for as soon as an optimizer is built, and multiprocessing's, which a process removes when it exits.
    expected = ("pytest-of-", "ray", "torchinductor_", "pymp-")
    left = sorted(path.name for path in folder.iterdir() if not path.name.startswith(expected))
    if left:
        print(f"\n\ntests left behind: {', '.join(left)}")
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
    if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        shutil.rmtree(folder)
    else:
        print(f"\n\ntemporary files are kept in {folder}")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    """The bundled photographs as training data. They are mapped read-only, so that tests may share them."""
    return open_data("demo", cache=tmp_path_factory.mktemp("cache"))
