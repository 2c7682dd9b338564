"""The digest of source code ignores comments and docstrings, and sees every change of a number."""

import subprocess
import sys
from pathlib import Path

import pytest

from enhance.system.source_digest import source_digest
from tests.places import ROOT

CODE = '''"""A module."""

RATE = 0.5  # a first guess
"""What the rate is for."""


class Net:
    """A network."""

    def forward(self, x, *, bias=None, **rest):
        """y = rate * x"""
        return {"y": RATE * x, **rest}, f"{x:>{bias}}"
'''
OTHER_WORDS = """'''Another sentence
over two lines.'''
RATE = (
    0.50
)  # measured
class Net:
    def forward( self, x, *, bias = None, **rest ):
        # nothing to say
        return { 'y': RATE * x, ** rest }, f'{x:>{bias}}'
"""


def package(folder: Path, **files: str) -> str:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return source_digest(folder, folder.glob("*.py"))


def test_docstrings_comments_and_layout_do_not_count(tmp_path: Path) -> None:
    assert package(tmp_path / "before", net=CODE) == package(tmp_path / "after", net=OTHER_WORDS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RATE = 0.5", "RATE = 0.25"),
        ("RATE = 0.5", "RATE = '0.5'"),
        ("bias=None", "bias=0"),
        ("bias=None", "bias"),
        ("RATE * x", "x * RATE"),
        ("self, x,", "self, z,"),
        (", **rest}", "}"),
        ('"y"', '"z"'),
        ("class Net:", "class Net(object):"),
    ],
)
def test_whatever_runs_counts(tmp_path: Path, old: str, new: str) -> None:
    assert old in CODE
    assert package(tmp_path / "before", net=CODE) != package(tmp_path / "after", net=CODE.replace(old, new))


def test_a_renamed_an_added_and_a_removed_file_count(tmp_path: Path) -> None:
    digests = [
        package(tmp_path / "one", net=CODE),
        package(tmp_path / "renamed", network=CODE),
        package(tmp_path / "added", net=CODE, empty=""),
        package(tmp_path / "cut_in_two", a=CODE.split("class")[0], b="class" + CODE.split("class")[1]),
    ]
    assert len(set(digests)) == len(digests)


def test_a_statement_that_moves_from_one_list_to_the_next_counts(tmp_path: Path) -> None:
    """Where one list of a node ends must be in the digest, not only what the lists hold together."""
    in_else = "try:\n    a()\nexcept ValueError:\n    b()\nelse:\n    c()\nfinally:\n    d()\n"
    in_finally = "try:\n    a()\nexcept ValueError:\n    b()\nfinally:\n    c()\n    d()\n"
    assert len({package(tmp_path / str(i), net=text) for i, text in enumerate([in_else, in_finally])}) == 2


def test_loads_no_torch() -> None:
    code = "import sys; import enhance.system.source_digest; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
