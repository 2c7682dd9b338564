"""Settings for all tests: property tests have no deadline, and the demo data are packed once."""

import pytest
from hypothesis import settings

from enhance.data import PatchStore, open_data

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    """The bundled photographs as training data. They are mapped read-only, so that tests may share them."""
    return open_data("demo", cache=tmp_path_factory.mktemp("cache"))
