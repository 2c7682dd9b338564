"""The pages are true: every command in them is run, or its options are checked where the page says why it is not run.

Commands run in this process, each in a folder of its own where what the pages name (runs/NAME, path/to/photos) exists.
Sweeps are planned with --dry-run, unless they are smoke runs, which run as written.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import re
import runpy
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from ray.scripts.scripts import cli as ray_cli

from tests.docs.example_runs import prepare, worked_example
from tests.docs.pages import PAGES, PROGRAMS, Block, Command, blocks, commands, indented
from tests.places import ROOT

ALL = [block for page in PAGES for block in (*blocks(page), *indented(page))]
COMMANDS = [command for block in ALL if block.language == "sh" for command in commands(block)]
PYTHON = [block for block in ALL if block.language == "python"]

SLOW = ("cost", "replay", "report", "images", "importance", "--smoke")
"""Words of commands that take more than a second or two."""

PLANNED = ("--dry-run", "--smoke", "--help")
TARGETS = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


def script(words: Sequence[str]) -> str:
    """The script in sweeps/ that a command runs, here or on a cluster; empty if it runs none."""
    return next((word for word in words if re.fullmatch(r"sweeps/\w+\.py", word)), "")


def slow(command: Command) -> bool:
    """Whether a command takes seconds."""
    packs = "data" in command.words[1:2] and len(command.words) > 2
    return not command.block.why_not and (packs or any(word in SLOW for word in command.words))


def run_script(path: str, arguments: Sequence[str], patch: pytest.MonkeyPatch) -> int:
    """Run a script of the working folder as `python PATH` does, and return its exit status."""
    patch.setattr(sys, "argv", [path, *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(path, run_name="__main__")
    return int(ended.value.code or 0)


def run_console(arguments: Sequence[str], patch: pytest.MonkeyPatch) -> int:
    """Run the project's console command, and return its exit status."""
    target = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["teststrip"]
    module, _, name = target.partition(":")
    patch.setattr(sys, "argv", ["teststrip", *arguments])
    try:
        return int(getattr(importlib.import_module(module), name)() or 0)
    except SystemExit as ended:
        return int(ended.code or 0)


def options_in(words: Sequence[str]) -> set[str]:
    """The options among the words of a command."""
    return {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}


def described(words: Sequence[str], patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The options that the help of a sweep or of a command of `teststrip` describes."""
    if own := script(words):
        assert run_script(own, ["--help"], patch) == 0
    else:
        assert run_console([words[1], "--help"], patch) == 0
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", capsys.readouterr().out))


def check_ray(words: Sequence[str]) -> None:
    """Check that Ray has the command and its options, and that the files it names exist."""
    assert words[1] in ray_cli.commands, f"ray has no command {words[1]}"
    known = {option for param in ray_cli.commands[words[1]].params for option in param.opts}
    own = words[: words.index("--")] if "--" in words else words
    assert options_in(own) <= known
    assert [word for word in own[2:] if word.endswith((".yaml", ".py")) and not (ROOT / word).is_file()] == []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, without the user's settings for clusters and runs."""
    monkeypatch.chdir(tmp_path)
    for name in ("TESTSTRIP_ADDRESS", "TESTSTRIP_RUNS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


# --- the pages -----------------------------------------------------------------------------------------------------


def test_the_pages_hold_commands_and_code() -> None:
    assert len(COMMANDS) > 30
    assert len(PYTHON) > 5
    shown = [block for block in ALL if block.language not in ("sh", "python")]
    assert [block.name for block in shown if any(commands(block, PROGRAMS))] == [], "commands stand in blocks of ```sh"


def test_the_options_page_has_every_option_of_a_sweep(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(place, ("help",))
    known = described(["python", "sweeps/loss_weights.py"], monkeypatch, capsys) - {"-h", "--help", "-m"}
    page = (ROOT / "docs/options.md").read_text()
    assert [option for option in sorted(known) if f"`{option}`" not in page and f"`{option} " not in page] == []


# --- commands ------------------------------------------------------------------------------------------------------


def run_command(words: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    """Run one command of a page in the working folder. A pipe through `python -m json.tool` is parsed as that does."""
    if "|" in words:
        pipe = list(words).index("|")
        assert list(words[pipe + 1 :]) == ["python", "-m", "json.tool"]
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            run_command(words[:pipe], patch)
        json.loads(printed.getvalue())
    elif words[0] == "make":
        assert words[1] in TARGETS, f"the Makefile has {', '.join(TARGETS)}"
    elif words[0] == "teststrip":
        status = run_console(words[1:], patch)
        assert status in ((0, 1) if words[1] == "doctor" else (0,))  # which also says what this machine lacks
    else:
        assert words[0] == "python"
        assert script(words), "only sweeps are run as scripts"
        more = () if any(word in PLANNED for word in words) else ("--dry-run",)
        assert run_script(words[1], [*words[2:], *more], patch) == 0


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=command.name, marks=[pytest.mark.engine] if slow(command) else [])
        for command in COMMANDS
        if not command.block.why_not
    ],
)
@pytest.mark.slow
def test_a_command_runs(command: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(place, command.words)
    run_command(command.words, monkeypatch)


@pytest.mark.parametrize(
    "command", [pytest.param(command, id=command.name) for command in COMMANDS if command.block.why_not]
)
def test_a_command_that_is_not_run_has_the_options_that_it_shows(
    command: Command, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.words
    prepare(place, ("help",))
    if words[0] == "make":
        assert words[1] in TARGETS
    elif words[:2] == ("python", "-m"):
        assert importlib.util.find_spec(words[2])
    elif words[0] == "ray":
        check_ray(words)
    if script(words) or words[0] == "teststrip":
        own = words[words.index("--") :] if "--" in words else words if words[0] != "ray" else ()
        assert options_in(own) <= described(words, monkeypatch, capsys)


def test_a_command_that_is_gone_fails(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(place, ("runs/NAME",))
    for line in ("make nothing", "teststrip nothing runs/NAME", "teststrip frontier runs/NAME --nothing"):
        with pytest.raises(AssertionError):
            run_command(line.split(), monkeypatch)
    with pytest.raises(FileNotFoundError):
        run_command(["python", "sweeps/nothing.py"], monkeypatch)
    with pytest.raises(AssertionError):
        run_command(["python", "sweeps/loss_weights.py", "--nothing"], monkeypatch)


# --- Python --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=block.name, marks=[pytest.mark.engine] if "MicroRun" in block.text else [])
        for block in PYTHON
    ],
)
def test_a_block_of_python_runs(block: Block, place: Path) -> None:
    prepare(place)
    exec(compile(block.text, block.name, "exec"), {"__name__": "example"})


def test_the_worked_example_is_a_sweep() -> None:
    names: dict[str, object] = {"__name__": "example"}
    exec(compile(worked_example(), "learning_rate.py", "exec"), names)
    assert "SWEEP" in names
