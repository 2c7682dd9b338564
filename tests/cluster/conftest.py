"""One cluster of hosts for all tests of a file."""

from collections.abc import Iterator

import pytest

from tests.cluster.hosts import lacking
from tests.cluster.launched import Cluster, launched


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that the laptop has started: Ray runs on the hosts head, one and two."""
    if reason := lacking():
        pytest.skip(reason)
    with launched(tmp_path_factory.mktemp("lab")) as started:
        yield started
