"""`--json` of every command: one valid object on standard output, with the keys that docs/json.md documents."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.__main__ import main as analyze
from analysis.commands import COMMANDS
from analysis.json_output import plain
from analysis.ledger.load import load
from enhance import json_output as of_enhance
from sweeps.engine.cli.console import MODULES, main
from sweeps.engine.designs import Factorial
from tests.analysis.ablation.test_ablation import SWITCHES
from tests.analysis.ablation.test_ablation import written as write_design
from tests.analysis.images.test_images import two_networks
from tests.analysis.importance.searched_runs import searched, searched_run
from tests.analysis.paper.test_paper import GRID_1, paper, written_grid
from tests.analysis.stability.test_stability import written as write_grid
from tests.analysis.stopping.test_stopping_command import audited_run, replay_rows
from tests.analysis.written_ledgers import confirmed, run_row, sweep_rows, write_rows, write_run
from tests.enhance.data.test_command import photograph
from tests.enhance.saved_network import save_network
from tests.places import ROOT

Write = Callable[..., Path]
BY_DATA = ("endings", "kinds", "sample", "fetched", "excluded", "identical", "ignored", "unused")
"""Objects whose keys are data, such as the names of endings."""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a ledger into a fresh folder and returns the folder."""

    def into_fresh_folder(trials: Any, reports: Any = (), runs: Any = None, costs: Any = (), name: str = "run") -> Path:
        return write_run(tmp_path / name, trials, reports, runs, costs)

    return into_fresh_folder


def with_confirmations(write: Write, name: str = "run") -> Path:
    trials, reports = sweep_rows(60, seed=3)
    *_, last = (row["configuration"] for row in trials if row["ending"] == "completed")
    return write(trials + confirmed(trials, {last: 3}, seed=1), reports, [run_row()], name=name)


def with_replays(write: Write) -> Path:
    run = audited_run(write)
    write_rows(run / "replay" / "0001.parquet", replay_rows("pareto", [0.5, 0.6]))
    return run


def searched_space(write: Write) -> Path:
    trials, reports = searched(24, lambda point: 20 + np.log10(point["config.loss.color"]), 0)
    return write(trials, reports, [searched_run()])


def all_networks(write: Write) -> Path:
    return written_grid(write, GRID_1, paper("fpie1", "relative_time"), paper("fpie1", "ms_ssim"))


def switched(write: Write) -> Path:
    return write_design(write, SWITCHES, Factorial(), lambda own: own["loss.a"], noise=0.1)


def own_photographs(tmp_path: Path) -> str:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for seed in range(2):
        photograph(seed).save(folder / f"{seed}.png")
    (folder / "notes.txt").touch()
    return f"deblur:{folder}"


def one_photograph(folder: Path) -> Path:
    photograph(0).save(folder / "0.jpg")
    return folder / "0.jpg"


COMMAND_LINES: dict[str, Callable[[Write, Path], list[str]]] = {
    "frontier": lambda write, _: [str(with_confirmations(write))],
    "report": lambda write, _: [str(with_confirmations(write))],
    "stability": lambda write, _: [str(write_grid(write))],
    "importance": lambda write, _: [str(searched_space(write)), "--resamples", "20"],
    "stopping": lambda write, _: [str(with_replays(write))],
    "ablation": lambda write, _: [str(switched(write))],
    "images": lambda write, _: [str(two_networks(write))],
    "compare": lambda write, _: [str(with_confirmations(write, name)) for name in ("one", "two")],
    "compare-paper": lambda write, _: [str(all_networks(write)), "--table", "fpie1"],
    "fetch": lambda write, folder: [str(with_confirmations(write)), str(folder / "copy")],
    "data": lambda _, folder: [own_photographs(folder), "--cache", str(folder / "cache")],
    "cost": lambda _, __: ["--net", "strided", "--set", "net.channels=4", "--size", "64x48", "--max-s", "0.1"],
    "enhance": lambda _, folder: [
        *(str(save_network(folder / "net")), str(one_photograph(folder)), "--out", str(folder / "out")),
    ],
    "closed-form": lambda _, folder: [
        own_photographs(folder), "--folds", "2", "--max-s", "0", "--cache", str(folder / "cache"),
    ],
    "doctor": lambda _, folder: ["--out", str(folder / "run")],
    "replay": lambda _, __: [
        str(ROOT / "tests" / "golden" / "grid.parquet"),
        *("--samplers", "each", "--stopping", "none", "--rungs", "1,2", "--reduction", "3", "--seeds", "2"),
    ],
}  # fmt: skip


def documented() -> dict[str, Any]:
    """The example of each command in docs/json.md, with what every command says of its runs."""
    text = (ROOT / "docs" / "json.md").read_text()
    blocks = re.findall(r"^## ([\w-]+)\n(?:(?!^## ).)*?```json\n(.*?)```", text, flags=re.DOTALL | re.MULTILINE)
    found = {name: json.loads(block) for name, block in blocks}
    run = found.pop("runs")
    for example in found.values():
        if "runs" in example:
            example["runs"] = [{**run, **own} for own in example["runs"] or [{}]]
        for side in example.keys() & {"a", "b"}:
            example[side] = run
    return found


def valid(text: str) -> Any:
    """The one object that a command has printed; NaN and Infinity are refused."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize("command", COMMAND_LINES)
@pytest.mark.slow
def test_every_command_prints_the_documented_keys(
    command: str, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = COMMAND_LINES[command](write, tmp_path)
    assert main([command, *words, "--json"]) == 0
    found = valid(capsys.readouterr().out)
    assert (found["command"], found["version"]) == (command, 1)
    assert differences(documented()[command], found) == []


def test_every_command_is_tried_and_documented() -> None:
    assert set(COMMAND_LINES) == set(documented()) == {*COMMANDS, *MODULES}


def differences(example: Any, found: Any, where: str = "") -> list[str]:
    """The keys that only one of an example and an output has. What is null or empty in the output has none."""
    if found is None or found == [] or where.rpartition(".")[2] in BY_DATA:
        return []
    if isinstance(example, list):
        if not isinstance(found, list):
            return [f"{where} is no list"]
        records = [own for own in found if isinstance(own, dict)]
        return differences(example[0], _united(records), where) if records and example else []
    if not isinstance(example, dict):
        return [f"{where} is an object"] if isinstance(found, dict) else []
    if not isinstance(found, dict):
        return [f"{where} is no object"]
    wrong = [f"{where}.{key}" for key in _kinds(example) ^ _kinds(found)]
    inside = [key for key in example if key in found]
    return wrong + [text for key in inside for text in differences(example[key], found[key], f"{where}.{key}")]


def _united(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {key: value for record in records for key, value in record.items()}


def _kinds(keys: dict[str, Any]) -> set[str]:
    """The keys; of columns such as metric.psnr_db what stands before the dot, since the rest is the run's."""
    return {key.partition(".")[0] + ("." if "." in key else "") for key in keys}


# --- the numbers -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_numbers_are_whole_and_tables_are_cut_alike(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(write([row for row in sweep_rows(60, seed=3)[0] if row["ending"] == "completed"]))
    assert analyze(["frontier", run, "--json"]) == 0
    short = valid(capsys.readouterr().out)
    assert analyze(["frontier", run, "--json", "--all"]) == 0
    whole = valid(capsys.readouterr().out)
    assert len(short["configurations"]) == min(short["front"] + 15, short["front"] + short["others"])
    assert len(whole["configurations"]) == whole["front"] + whole["others"]
    scores = set(load(Path(run)).trials["metric.psnr_db"])
    assert {row["metric.psnr_db"] for row in whole["configurations"]} <= scores


@pytest.mark.slow
def test_notes_go_to_standard_error(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = with_confirmations(write)
    (run / "trials" / "0002.parquet").write_bytes(b"damaged")
    assert analyze(["frontier", str(run), "--json"]) == 0
    printed = capsys.readouterr()
    assert valid(printed.out)["command"] == "frontier"
    assert "trials/0002.parquet is unreadable" in printed.err


@pytest.mark.parametrize("convert", [plain, of_enhance.plain])
def test_what_is_not_finite_is_null(convert: Callable[[object], Any]) -> None:
    assert convert([float("nan"), float("inf"), np.float64("nan"), np.float32(0.5), np.int64(2), True]) == [
        None, None, None, 0.5, 2, True]  # fmt: skip
    with pytest.raises(TypeError, match="set has no form"):
        convert({1})


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "kind", "fact"),
    [
        *[([name, "typo"], "ledger", "typo is not a folder") for name in COMMANDS if name not in ("compare", "fetch")],
        (["compare", "typo", "typo"], "ledger", "typo is not a folder"),
        (["fetch", "typo", "copy"], "ledger", "typo"),
        (["frontier"], "usage", "RUN"),
        (["frontier", "typo", "--pirmm"], "usage", "--pirmm"),
        (["frontire", "typo"], "usage", "did you mean frontier"),
        (["data", "typo:x"], "data", "typo"),
        (["cost", "--net", "resnet", "--set", "net.chanels=16"], "config", "did you mean net.channels"),
        (["cost"], "usage", "--net"),
        (["doctor", "--adress"], "usage", "--adress"),
        (["replay", "typo"], "ledger", "typo"),
        (["replay"], "usage", "source"),
    ],
)
def test_an_error_is_an_object_too(
    words: list[str], kind: str, fact: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    try:
        status = main([*words, "--json"])
    except SystemExit as leaving:  # as argparse does
        status = int(leaving.code or 0)
    assert status == 2
    found = valid(capsys.readouterr().out)["error"]
    assert found["kind"] == kind
    assert fact in found["message"]


def test_a_page_that_is_served_has_no_object(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert analyze(["report", str(with_confirmations(write)), "--live", "--json"]) == 2
    assert "--json" in valid(capsys.readouterr().out)["error"]["message"]
