"""Ledgers of schema version 1 give the numbers that they gave when they were written.

`golden/version_1` holds four small runs written by that version, packed by `fetch --compact`; host, interpreter and
folders were replaced by neutral names. `golden/version_1_numbers` holds what that version's commands made of them,
without the columns `config.*`, which only repeat the ledger, and for importance with 20 resamples.
"""

from pathlib import Path

import pandas as pd
import pytest

from analysis import output
from analysis.__main__ import main
from analysis.ledger.load import load
from tests.places import GOLDEN

RUNS = ("stability", "loss_terms", "fast_arch", "loss_weights")

COMMANDS = {
    "stability-frontier": ["frontier", "stability"],
    "stability-stability": ["stability", "stability"],
    "loss_terms-frontier": ["frontier", "loss_terms"],
    "loss_terms-ablation": ["ablation", "loss_terms"],
    "fast_arch-frontier": ["frontier", "fast_arch"],
    "fast_arch-compare-paper": ["compare-paper", "fast_arch"],
    "loss_weights-frontier": ["frontier", "loss_weights"],
    "loss_weights-search": ["frontier", "loss_weights", "--search"],
    "loss_weights-importance": ["importance", "loss_weights", "--resamples", "20"],
    "loss_weights-stopping": ["stopping", "loss_weights"],
    "loss_terms-loss_weights-compare": ["compare", "loss_terms", "loss_weights"],
    "fast_arch-loss_weights-compare": ["compare", "fast_arch", "loss_weights"],
}

RENAMED = {"baseline.": "untouched."}
"""Beginnings of columns: in version 1, and now."""

RENAMED_ANSWERS = {"losses": "regret"}
"""Values of the column `answer`: in version 1, and now."""

REWORDED = ("space", "design")
"""Facts about how a run was made that are told in other words now: they are no numbers."""

SENTENCES = ("why",)
"""Columns that hold sentences for people."""

DRAWN_ANEW = [f"{kind}_{part}" for kind in ("fanova", "ped_anova") for part in ("low", "high", "p", "chance")]
"""Columns of importances that follow from other random draws now: version 1 corrected each method by itself."""

NEW = ("told",)
"""Columns that version 1 had not."""


@pytest.mark.parametrize("run", RUNS)
def test_the_whole_ledger_is_read(run: str) -> None:
    ledger = load(GOLDEN / "version_1" / run)
    assert ledger.notes == ()
    assert set(ledger.starts["trial"]) == set(ledger.trials["trial"]) >= set(ledger.reports["trial"])
    for table in ("trials", "reports"):
        names = ledger.columns(table)
        assert "untouched.psnr_db" in names
        assert not [name for name in names if name.startswith("baseline.")]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.slow
def test_the_numbers_are_those_of_version_1(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)  # some numbers stand beside the path of their run
    monkeypatch.setattr(output, "save", lambda *_: [])  # no picture is looked at here
    command, *words = COMMANDS[name]
    words = [f"version_1/{word}" if word in RUNS else word for word in words]
    assert main([command, *words, "--out", str(tmp_path)]) == 0
    expected = sorted((GOLDEN / "version_1_numbers" / name).glob("*.parquet"))
    assert [path.name for path in sorted(tmp_path.glob("*.parquet"))] == [path.name for path in expected]
    for path in expected:
        assert_same_numbers(pd.read_parquet(tmp_path / path.name), pd.read_parquet(path))


def assert_same_numbers(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    for before, now in RENAMED.items():
        names = {name: now + name.removeprefix(before) for name in expected.columns if name.startswith(before)}
        expected = expected.rename(columns=names)
    if "answer" in expected.columns:
        expected["answer"] = expected["answer"].replace(RENAMED_ANSWERS)
    if {"part", "a", "b"} <= set(expected.columns):  # compare-setup
        found, expected = (_without_words(frame) for frame in (found, expected))
    found = found[[name for name in found.columns if not name.startswith("config.")]]
    assert set(SENTENCES) & set(found.columns) == set(SENTENCES) & set(expected.columns)
    differing = [*SENTENCES, *DRAWN_ANEW, *NEW]
    found, expected = (frame.drop(columns=differing, errors="ignore") for frame in (found, expected))
    found, expected = (_with_numbers(frame) for frame in (found, expected))
    # All but the last bits, which follow the CPU: numpy computes powers by other instructions where there is AVX-512.
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-12, atol=0)


def _with_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Texts that are numbers, as columns have them that hold choices too, as texts of 12 digits."""

    def shorter(value: object) -> object:
        try:
            return f"{float(value):.12g}" if isinstance(value, str) else value
        except ValueError:
            return value

    return frame.assign(**{name: frame[name].map(shorter) for name in frame.select_dtypes(exclude="number")})


def _without_words(frame: pd.DataFrame) -> pd.DataFrame:
    told = frame["part"].isin(REWORDED) | frame["name"].isin(REWORDED)
    return frame.assign(a=frame["a"].mask(told), b=frame["b"].mask(told))
