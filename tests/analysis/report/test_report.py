"""The report file: its content, that nothing escapes its markup, and that it is reproducible."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.__main__ import main
from analysis.importance.answer import importance
from analysis.ledger.load import Objective, load
from analysis.report.blocks import Table
from analysis.report.data import run_data
from analysis.report.embed import script_json
from analysis.report.marks import Marks
from analysis.report.reading import read
from analysis.report.sampling import sample_configurations, shown_reports, shown_trials
from analysis.report.sections import PARTS, sections
from tests.analysis.report.pages import Page, report_of
from tests.analysis.written_ledgers import (
    TWO,
    Row,
    confirmed,
    cost_row,
    lost_row,
    report_row,
    run_row,
    sweep_rows,
    trial_row,
)
from tests.places import ROOT

Write = Callable[..., Path]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&<!--"


def written_sweep(write: Write, n: int = 40, **changes: Any) -> Path:
    trials, reports = sweep_rows(n, seed=3)
    *_, last = (row["configuration"] for row in trials if row["ending"] == "completed")
    return write(trials + confirmed(trials, {last: 3}, seed=1), reports, [run_row(**changes)])


@pytest.mark.slow
def test_the_command_writes_one_file_and_names_it(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = written_sweep(write, found="DPED (2017) weighs texture highest")
    assert main(["report", str(run)]) == 0
    path = run / "analysis" / "report.html"
    assert str(path) in capsys.readouterr().out
    seen = Page(path.read_text())
    assert "Which weights of the loss terms give the best picture?" in seen.text
    assert "DPED (2017) weighs texture highest" in seen.text
    assert main(["report", str(run), "--out", str(run / "elsewhere")]) == 0
    assert (run / "elsewhere" / "report.html").read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_every_section_is_there_and_an_empty_one_says_why(write: Write) -> None:
    run = write([trial_row(0), trial_row(1, 21.0)])
    found = list(sections(read(run)))
    seen = Page(report_of(run))
    assert set(seen.ids()) >= {f"{section.key}-0" for section in found}
    assert len({section.key for section in found}) == len(found) == len(PARTS)
    for section in found:
        assert section.title in seen.text
        assert section.lead.endswith("."), section.key
        assert section.lead in seen.text
    absent = {section.key for section in found if not section.blocks}
    assert {"images", "stability", "ablation", "importance"} <= absent
    assert {"confirmation", "curves", "costs"} <= absent
    assert "front" not in absent


@pytest.mark.slow
def test_the_page_loads_nothing_and_is_small(write: Write) -> None:
    text = report_of(written_sweep(write))
    assert len(text) < 300_000
    for tag, own in Page(text).tags:
        assert tag not in ("iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "srcset", "action", "data"):
            value = own.get(name) or "#"
            assert value.startswith(("#", "data:")), (tag, name, value)
    assert "@import" not in text
    assert "url(http" not in text


@pytest.mark.slow
@pytest.mark.parametrize("column", ["config.loss.name", "label", "reason", "run.host", "question", "found", "command"])
def test_a_hostile_text_stays_text(write: Write, column: str) -> None:
    trials = [trial_row(0, **{column: HOSTILE}), trial_row(1, 21.0, **{column: "calm"}), lost_row(2)]
    changed = {column: HOSTILE} if column in ("question", "found", "command") else {}
    if column == "reason":
        trials[2]["reason"] = HOSTILE
    seen = Page(report_of(write(trials, [report_row(0, 150, 20.0, 0.9)], [run_row(**changed)])))
    scripts = [own for tag, own in seen.tags if tag == "script"]
    assert [own.get("type") for own in scripts] == ["application/json", None]
    images = [own for tag, own in seen.tags if tag == "img"]
    assert all("onerror" not in own and str(own["src"]).startswith("data:image/svg+xml;base64,") for own in images)
    assert not any(name.startswith("on") for _, own in seen.tags for name in own)
    assert HOSTILE in seen.text or HOSTILE in json.dumps(seen.data[0], ensure_ascii=False).replace('\\"', '"')


def test_a_script_runs_only_where_its_digest_is_known(write: Write) -> None:
    text = report_of(write([trial_row(0)]))
    (policy,) = (own["content"] for tag, own in Page(text).tags if own.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[\w+/]{43}='", policy)
    assert "connect-src 'none'" in policy


def test_embedded_json_reads_back_and_cannot_end_its_script() -> None:
    value = {"a": HOSTILE, "b": [1, 2.5, None, True, float("nan"), float("inf")], "c": "\u2028"}
    text = script_json(value)
    assert not re.search(r"[<>&\u2028]", text)
    assert json.loads(text) == {"a": HOSTILE, "b": [1, 2.5, None, True, None, None], "c": "\u2028"}


@pytest.mark.slow
def test_the_same_ledger_gives_the_same_bytes(write: Write, tmp_path: Path) -> None:
    run = written_sweep(write)
    for seed, name in (("1", "one"), ("2", "two")):
        command = [sys.executable, "-W", "error", "-m", "analysis", "report", str(run), "--out", str(tmp_path / name)]
        subprocess.run(
            command, check=True, capture_output=True, env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
        )
    assert (tmp_path / "one" / "report.html").read_bytes() == (tmp_path / "two" / "report.html").read_bytes()


@pytest.mark.slow
def test_several_runs_are_chapters_with_ids_of_their_own(write: Write) -> None:
    first = written_sweep(write, n=20)
    second = write([trial_row(0), trial_row(1, 21.0)], [], [run_row(question="And another one?")], name="second")
    seen = Page(report_of(first, second))
    assert len(seen.ids()) == len(set(seen.ids()))
    assert len(seen.data) == 2
    assert [data["name"] for data in seen.data] == ["run", "second"]
    assert "And another one?" in seen.text
    assert "2 runs" in seen.text


def test_a_run_in_which_everything_diverged_has_its_report(write: Write) -> None:
    run = write([lost_row(number) for number in range(4)])
    seen = Page(report_of(run))
    assert "There is no front: none of the 4 trials" in seen.text
    assert "4 of 4 trials ended without a result." in seen.text
    assert seen.data[0]["views"] == {}
    assert seen.data[0]["trials"]["ending"] == ["diverged"] * 4


def test_the_data_are_the_ledgers(write: Write) -> None:
    trials = [trial_row(0, 20.0, 0.9), trial_row(1, 21.0, 0.95), trial_row(2, 20.5, 0.8, ending="stopped", rung=1)]
    run = write(trials, [report_row(1, 150, 19.0, 0.85), report_row(1, 300, 20.0, 0.9), report_row(2, 150, 20.5, 0.8)])
    data = run_data(read(run))
    (best,) = (point for point in data["views"]["results"] if point["front"])
    assert (best["label"], best["mean"]) == ("color=0.25", [21.0, 0.95])
    assert data["objectives"] == [0, 1]
    assert [metric["untouched"] for metric in data["metrics"]] == [18.0, 0.8]
    assert data["parameters"] == ["color"]
    assert data["trials"]["parameters"] == [[0.0, 0.25, 0.5]]
    place = [curve["label"] for curve in data["curve_names"]].index("PSNR (dB)")
    assert [[row[0], row[1 + place]] for row in data["curves"][1]] == [[150, 19.0], [300, 20.0]]
    assert data["curves"][0] == []


def test_costs_stand_in_a_table_per_conditions(write: Write) -> None:
    costs: list[Row] = [
        cost_row({"channels": 16}, 0.5),
        cost_row({"channels": 32}, None),
        cost_row({"channels": 16}, 0.4, **{"cost.threads": 2}),
    ]
    text = Page(report_of(write([trial_row(0)], costs=costs))).text
    assert "1 thread," in text
    assert "2 threads," in text
    assert "0.480 to 0.525" in text
    assert "out of memory" in text


def test_a_large_run_is_sampled_and_says_so(write: Write) -> None:
    trials, reports = sweep_rows(300, seed=1)
    *_, last = (row["configuration"] for row in trials if row["ending"] == "completed")
    extra = confirmed(trials, {last: 3}, seed=1)
    ledger = read(write(trials + extra, reports)).ledger
    shown, sentence = shown_trials(ledger, {last}, most=100)
    assert sentence.startswith("Shown: 100 of 303 trials")
    assert len(shown) == 100
    assert set(shown["trial"]) >= {row["trial"] for row in extra} | {trials[int(last[4:])]["trial"]}
    spread = shown.loc[shown["stage"] == "search", "number"].diff().dropna()
    assert spread.max() <= 6  # nowhere a hole: every third of 300, and the front
    front = set(ledger.trials["configuration"][:80])
    shown, sentence = shown_trials(ledger, front, most=100)
    assert re.match(r"Shown: 100 of 303 trials: 50 of the \d+ of the front", sentence)
    assert shown["configuration"].isin(front).sum() <= 50  # a large front leaves room for what it is better than
    everything = set(ledger.trials["configuration"][:290])
    assert len(shown_trials(ledger, everything, most=100)[0]) == 100  # and takes what few others leave
    curves, sentence = shown_reports(shown, ledger.reports, most=60)
    assert re.match(r"Shown: the curves of \d+ of \d+ trials", sentence)
    assert 40 <= len(curves) <= 80
    whole = ledger.reports[ledger.reports["trial"].isin(curves["trial"])]
    assert len(whole) == len(curves)  # a curve is shown whole or not at all


@pytest.mark.slow
def test_nothing_is_said_of_a_sample_where_everything_is_shown(write: Write) -> None:
    reading = read(written_sweep(write))
    assert reading.trials_note == reading.reports_note == ""
    assert "Shown:" not in Page(report_of(reading.ledger.path)).text


@pytest.mark.slow
def test_one_objective_has_a_front_of_its_own(write: Write) -> None:
    objectives = json.dumps([TWO[0]])
    run = write([trial_row(0), trial_row(1, 21.0)], [], [run_row(objectives=objectives)])
    reading = read(run)
    assert reading.ledger.objectives == (Objective("psnr_db", "maximize"),)
    assert run_data(reading)["objectives"] == [0]
    assert "PSNR (dB) (higher is better)" in Page(report_of(run)).text


@pytest.mark.parametrize(
    "options, said",
    [
        (["--port", "8000"], "--live"),
        (["--live", "--out", "x"], "it takes no --out"),
    ],
)
def test_options_that_cannot_be_honoured_are_refused(
    write: Write, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["report", str(write([trial_row(0)])), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_section_without_an_answer_says_why_and_the_others_stand(write: Write) -> None:
    """Trials were spared, and the contract denies that there was an audit: only the section on stopping asks it."""
    wrong = json.dumps({"rungs": [150, 600], "audit_share": 0, "stopping": "pareto"})
    run = write([trial_row(0), trial_row(1, 21.0), trial_row(2, 20.5, spared=0)], [], [run_row(contract=wrong)])
    found = {section.key: section for section in sections(read(run))}
    assert "audit_share is 0" in found["stopping"].lead
    assert str(run) not in found["stopping"].lead
    assert found["front"].blocks
    assert "run has spared trials" in Page(report_of(run)).text


def searched_run(write: Write, n: int = 40) -> Path:
    """A sweep of `n` trials that says what it searched, so that stability and importance have something to say."""
    trials, reports = sweep_rows(n, seed=3)
    space = {
        "loss.color": {"kind": "log", "low": 0.01, "high": 10.0},
        "loss.texture": {"kind": "log", "low": 0.1, "high": 10.0},
        "optimizer.lr": {"kind": "log", "low": 1e-05, "high": 0.1},
    }
    said = {"rungs": [150, 300, 450, 600], "reduction": 2, "audit_share": 0.25, "stopping": "pareto", "space": space}
    return write(trials, reports, [run_row(contract=json.dumps(said))])


@pytest.mark.slow
def test_stability_and_importance_have_their_tables(write: Write) -> None:
    reading = read(searched_run(write))
    told = {section.key: section for section in sections(reading)}
    rates = next(block for block in told["stability"].blocks if isinstance(block, Table))
    ended = reading.ledger.trials["ending"]
    trained = int(ended.isin(["completed", "stopped", "diverged"]).sum())
    assert rates.rows[0][2] == f"{int((ended == 'diverged').sum())} of {trained}"
    assert any(row[0] == "optimizer.lr" for row in rates.rows)
    tables = [block for block in told["importance"].blocks if isinstance(block, Table)]
    assert [{row[0] for row in table.rows} for table in tables] == [{"loss.color", "loss.texture", "optimizer.lr"}] * 2
    assert "is a search" in told["ablation"].lead or "design" in told["ablation"].lead
    live = {section.key: section for section in sections(reading, live=True)}
    assert not live["importance"].blocks
    assert "teststrip importance" in live["importance"].lead
    assert live["stability"].blocks


@pytest.mark.slow
def test_figures_have_words_and_load_nothing(write: Write) -> None:
    images = [own for tag, own in Page(report_of(searched_run(write))).tags if tag == "img"]
    assert images
    for own in images:
        assert (own["src"] or "").startswith("data:image/svg+xml;base64,")
        assert any(word in (own["alt"] or "") for word in ("optimizer", "learning rate", "curves", "rung"))


def test_a_path_is_replaced_by_the_name_but_not_in_commands(write: Write) -> None:
    reading = read(write([trial_row(0)], name="mine"))
    path = reading.ledger.path
    assert reading.without_path(f"in {path}; ask `teststrip x {path}`") == f"in mine; ask `teststrip x {path}`"


@pytest.mark.slow
def test_importance_of_a_large_run_is_of_a_sample_that_is_the_same_every_time(write: Write) -> None:
    ledger = load(searched_run(write, 120))
    some, said = sample_configurations(ledger, 30)
    assert "30 of 120 configurations" in said
    assert some.trials["configuration"].nunique() == 30
    assert set(some.reports["trial"]) <= set(some.trials["trial"])
    assert some.trials["trial"].tolist() == sample_configurations(ledger, 30)[0].trials["trial"].tolist()
    assert sample_configurations(ledger, 120) == (ledger, "")
    assert len(importance([some], ledger.objectives[:1], 0, 20)) == 3


def test_marks_lie_where_their_values_do_and_say_when_they_are_cut() -> None:
    marks = Marks.of(
        [0.5, float("nan"), 2.0], [0.25, 0, 1.0], [0.75, 1, 3.0], [True, False, False], (0, 2), 1.0, ("0", "2")
    )
    assert marks.zero == 50
    first, missing, last = marks.rows
    assert first == (25.0, 12.5, 37.5, True, False)
    assert missing is None
    assert last == (100.0, 50.0, 100.0, False, True)


def luminance(color: str) -> float:
    """The relative luminance of "#rrggbb", 0 to 1 (WCAG 2.2)."""
    levels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
    return sum(weight * level for weight, level in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_color_of_text_can_be_read_on_the_paper(theme: int) -> None:
    css = (ROOT / "analysis/report/assets/style.css").read_text()
    colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", css.split(":root {")[theme + 1].split("}")[0]))
    for name in ("ink", "soft", "faint", "accent", "untouched"):
        low, high = sorted((luminance(colors[name]), luminance(colors["paper"])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name
    assert not re.search(r"nav a[^{]*{[^}]*opacity", css)  # which would thin a color that is legible by itself
