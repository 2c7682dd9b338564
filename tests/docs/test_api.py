"""What docs/api.md calls public can be imported, and the release's files agree on version and license."""

import importlib
import re
import tomllib

import pytest
import yaml

from tests.places import ROOT

ROWS = re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", (ROOT / "docs/api.md").read_text(), flags=re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("module, names", ROWS, ids=[module for module, _ in ROWS])
def test_a_public_name_is_there(module: str, names: str) -> None:
    own = re.findall(r"`(\w+)`", names)
    assert own
    assert [name for name in own if not hasattr(importlib.import_module(module), name)] == []


def test_the_citation_names_the_version_and_license_of_the_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    released = re.search(rf"^## \[{citation['version']}\] - (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released
    assert released[1] == str(citation["date-released"])


def test_the_license_is_the_one_that_the_project_names() -> None:
    assert PROJECT["license-files"] == ["LICENSE"]
    assert (ROOT / "LICENSE").read_text().startswith(f"{PROJECT['license']} License")
