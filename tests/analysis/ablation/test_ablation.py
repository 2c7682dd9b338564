"""Effects of designs with known effects, and refused input."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.ablation.answer import ablation, contrasts
from analysis.ledger.design import Design as Followed
from analysis.ledger.load import LedgerError, load
from analysis.ledger.space import Parameter
from analysis.statistics.effects import paired_effects
from sweeps.engine.designs import Ablation, Design, Factorial, Grid, OneAtATime
from sweeps.engine.ledger.encoding import encode_design, encode_entry
from sweeps.engine.space import Choice, Log, Space, When
from tests.analysis.written_ledgers import lost_row, run_row, trial_row

Write = Callable[..., Path]
TERMS: Space = {
    "loss.pixel": Choice(0.0, 50.0),
    "loss.pixel_norm": When("loss.pixel", 50.0, Choice("l1", "mse")),
    "loss.color": Choice(0.0, 75.0),
}
FULL = {"loss.pixel": 50.0, "loss.pixel_norm": "l1", "loss.color": 75.0}
SWITCHES: Space = {name: Choice(0.0, 1.0) for name in ("loss.a", "loss.b", "loss.c", "loss.d")}


def written(
    write: Write,
    space: Space,
    design: Design | None,
    truth: Callable[[dict[str, Any]], float],
    seeds: int = 3,
    noise: float = 0.0,
    more: dict[str, dict[str, Any]] | None = None,
    lost: tuple[tuple[int, int], ...] = (),
    name: str = "run",
) -> Path:
    """A run of `design` whose score is `truth` of a configuration plus a large shift of its seed, and noise."""
    rng = np.random.default_rng(0)
    points = [*(more or {}).items(), *(design.points(space) if design else ())]
    rows = []
    for place, (label, values) in enumerate(points):
        for seed in range(seeds):
            number = len(rows)
            settings = {f"config.{leaf}": values.get(leaf, "l1" if leaf.endswith("norm") else None) for leaf in space}
            changes = {"configuration": f"conf{place:03d}", "seed": seed, "label": label, **settings}
            score = truth(values) + 10 * seed + rng.normal(0, noise)
            gone = (place, seed) in lost
            rows.append(lost_row(number, **changes) if gone else trial_row(number, score, 0.9, **changes))
    contract = {
        "design": encode_design(design),
        "sampler": "tpe",
        "rungs": [600],
        "space": {leaf: encode_entry(entry) for leaf, entry in space.items()},
    }
    return write(rows, [], [run_row(contract=json.dumps(contract))], name=name)


def effects(run: Path, metric: str = "psnr_db") -> pd.DataFrame:
    frame = ablation(load(run))
    return frame[frame["metric"] == metric].set_index("effect")


def terms(values: dict[str, Any]) -> float:
    return values["loss.pixel"] * 0.04 + values["loss.color"] * 0.01 - (values.get("loss.pixel_norm") == "mse")


def test_leaving_one_out_gives_what_it_was_worth(write: Write) -> None:
    found = effects(written(write, TERMS, Ablation(FULL), terms))
    assert found["mean"].to_dict() == pytest.approx(
        {"without loss.pixel": -2.0, "without loss.color": -0.75, "loss.pixel_norm = mse (not l1)": -1.0}
    )
    assert found["kind"].tolist() == ["left out", "left out", "instead"]
    assert found["sure"].all()  # the shift by seeds, 10 dB each, drops out


def test_named_settings_are_held_against_the_full_one(write: Write) -> None:
    named = {"pixel alone, MSE": {"loss.pixel": 50.0, "loss.pixel_norm": "mse", "loss.color": 0.0}}
    found = effects(written(write, TERMS, Ablation(FULL), terms, more=named))
    assert found.loc["pixel alone, MSE", ["kind", "mean"]].tolist() == ["named", pytest.approx(-1.75)]


def test_one_at_a_time_names_both_values(write: Write) -> None:
    space: Space = {"optimizer.lr": Log(1e-4, 1e-2), "net.family": Choice("resnet", "unet")}
    design = OneAtATime({"optimizer.lr": 1e-3, "net.family": "resnet"}, levels=3)
    run = written(
        write, space, design, lambda values: np.log10(values["optimizer.lr"]) - (values["net.family"] == "unet")
    )
    found = effects(run)["mean"].to_dict()
    assert found == pytest.approx(
        {"optimizer.lr = 0.0001 (not 0.001)": -1.0, "optimizer.lr = 0.01 (not 0.001)": 1.0,
         "net.family = unet (not resnet)": -1.0}
    )  # fmt: skip


def switched(values: dict[str, Any]) -> float:
    a, b, c = (values[f"loss.{name}"] for name in "abc")
    return float(2 * a - b + 0.5 * a * b + 0 * c)


@pytest.mark.slow
def test_a_factorial_gives_main_effects_and_interactions(write: Write) -> None:
    found = effects(written(write, SWITCHES, Factorial(), switched))["mean"]
    assert found["loss.a = 1 (not 0)"] == pytest.approx(2.25)  # 2, and half of the interaction
    assert found["loss.b = 1 (not 0)"] == pytest.approx(-0.75)
    assert found["loss.a = 1 × loss.b = 1"] == pytest.approx(0.5)  # noqa: RUF001
    assert found["loss.a = 1 × loss.c = 1"] == pytest.approx(0, abs=1e-9)  # noqa: RUF001
    assert len(found) == 4 + 6


def test_levels_of_a_grid_are_held_against_the_first_of_the_space(write: Write) -> None:
    space: Space = {"phases.curve_at": Choice(1.0, 1 / 3, 0.0), "phases.adversarial_at": Choice(1.0, 0.0)}
    run = written(write, space, Grid(), lambda values: -values["phases.curve_at"])
    found = effects(run)["mean"]
    assert found["phases.curve_at = 0.333 (not 1)"] == pytest.approx(2 / 3)
    assert found["phases.curve_at = 0 (not 1)"] == pytest.approx(1.0)
    assert len(found) == 3 + 2


def test_a_setting_under_a_condition_is_no_obstacle(write: Write) -> None:
    nets: Space = {"net.family": Choice("unet", "shuffle"), "net.levels": When("net.family", "unet", Choice(4, 5))}
    space: Space = {**nets, "loss.color": Choice(0.0, 1.0)}

    def truth(values: dict[str, Any]) -> float:
        return values["loss.color"] - 3 * (values["net.family"] == "unet") + (values.get("net.levels") == 5)

    found = effects(written(write, space, Grid(), truth))["mean"]
    assert found["net.family = shuffle (not unet)"] == pytest.approx(2.5)
    assert found["net.levels = 5 (not 4)"] == pytest.approx(1.0)
    assert found["loss.color = 1 (not 0)"] == pytest.approx(1.0)


@pytest.mark.slow
def test_a_pair_that_is_not_whole_is_left_out_and_counted(write: Write) -> None:
    run = written(write, SWITCHES, Factorial(), switched, lost=((15, 1),))  # all four on, the second seed
    found = effects(run)
    assert found.loc["loss.a = 1 (not 0)", ["pairs", "lost"]].tolist() == [7, 1]


def test_a_search_is_sent_to_importance(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = written(write, TERMS, None, terms, more={"": FULL})
    assert main(["ablation", str(run)]) == 2
    said = capsys.readouterr().err
    assert "is a search (tpe)" in said
    assert f"teststrip importance {run}" in said


def test_one_seed_is_refused(write: Write) -> None:
    with pytest.raises(LedgerError, match="has 1 seed"):
        ablation(load(written(write, TERMS, Ablation(FULL), terms, seeds=1)))


@pytest.mark.slow
def test_the_command_says_and_writes_it(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    run = written(write, TERMS, Ablation(FULL), terms, noise=0.01)
    assert main(["ablation", str(run)]) == 0
    said = capsys.readouterr().out
    assert "without loss.pixel" in said
    assert "Holm's correction for 3 effects" in said
    for ending in ("png", "svg", "parquet"):
        assert (run / "analysis" / f"ablation.{ending}").stat().st_size > 0
    pd.testing.assert_frame_equal(pd.read_parquet(run / "analysis/ablation.parquet"), ablation(load(run)))


def test_effects_of_simulated_sweeps_cover_the_truth() -> None:
    """The whole way from scores, for 1,000 factorials with noise that differs between configurations."""
    rng, names = np.random.default_rng(1), ["loss.a", "loss.b"]
    texts = pd.DataFrame(list(itertools.product(("0.0", "1.0"), repeat=2)), columns=names).assign(label="")
    settings = [Parameter(name, choices=(0.0, 1.0)) for name in names]
    center, spread = np.asarray([[20.0], [20.5], [21.0], [22.0]]), np.asarray([[0.1], [0.2], [0.3], [0.6]])
    scores = center + rng.normal(0, 1, 3000) + rng.normal(0, 1, (4, 3000)) * spread
    questions = contrasts(pd.DataFrame(scores), texts, Followed("Factorial", {}), settings)
    for question, truth in zip(questions, (1.25, 0.75, 0.5), strict=True):
        found = paired_effects(question.pairs.mean(axis=0).reshape(1000, 3))  # three seeds are a sweep
        assert 0.92 <= np.mean((found.low <= truth) & (truth <= found.high)) <= 0.98


def test_of_a_single_configuration_nothing_is_compared(write: Write) -> None:
    """It ended the report in an IndexError."""
    one: Space = {"loss.a": Choice(1.0)}
    with pytest.raises(LedgerError, match="differ in no setting"):
        ablation(load(written(write, one, Grid(), lambda values: 20.0)))
