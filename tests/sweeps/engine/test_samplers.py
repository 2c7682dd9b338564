"""Samplers: option domains, refused spaces, and equality with Optuna's samplers."""

import importlib.util

import optuna
import pytest
from optuna.trial import TrialState

from sweeps.engine.samplers import SAMPLERS, build_sampler, sampler_problems
from sweeps.engine.space import Choice, Integer, Log, Space, Uniform, When, contains, suggest

NUMBERS: Space = {"loss.tv": Log(0.1, 10.0), "loss.color": Uniform(0.0, 1.0), "net.blocks": Integer(0, 4)}
MIXED: Space = {
    "optimizer.name": Choice("adam", "sgd"),
    "optimizer.momentum": When("optimizer.name", "sgd", Uniform(0.0, 0.9)),
}
HAS_CMAES = importlib.util.find_spec("cmaes") is not None


def needs(sampler: str) -> None:
    if sampler == "cmaes":
        pytest.importorskip("cmaes")


@pytest.mark.parametrize(
    ("name", "options", "space", "objectives", "said"),
    [
        ("tpee", {}, NUMBERS, 1, "unknown name 'tpee'; did you mean tpe"),
        ("grid", {}, NUMBERS, 1, "set design=Grid(levels=3), since loss.tv, loss.color have no finite"),
        ("grid", {}, {"a": Choice(1, 2)}, 1, "set design=Grid()"),
        ("tpe", {"startup_trails": 5}, NUMBERS, 1, "did you mean startup_trials"),
        ("tpe", {"candidates": 0}, NUMBERS, 1, "candidates=0 is not allowed: it must be a whole number of at least 1"),
        ("nsga2", {"mutation": 1.5}, NUMBERS, 2, "mutation=1.5 is not allowed: it must be a number from 0 to 1"),
        ("random", {"seed": 1}, NUMBERS, 1, "sampler random has no options, so it has no 'seed'"),
        ("qmc", {"sequence": "lattice"}, NUMBERS, 1, "choose from sobol, halton"),
        ("qmc", {}, MIXED, 1, "cannot search optimizer.momentum"),
        ("nsga2", {}, MIXED, 2, "children inherit only parameters that every trial has"),
        ("gp", {}, MIXED, 1, "it models only parameters that every trial has"),
        ("cmaes", {}, NUMBERS, 2, "one objective, not 2; choose from tpe, nsga2"),
        ("cmaes", {}, MIXED, 1, "optimizer.name is a Choice"),
        ("cmaes", {"population": 3}, NUMBERS, 1, "population=3 must be 4 or more, or 0 for its default"),
        ("cmaes", {}, MIXED, 1, "optimizer.momentum, which are under a condition"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    name: str, options: dict[str, object], space: Space, objectives: int, said: str
) -> None:
    problems = sampler_problems(name, options, space, objectives)  # type: ignore[arg-type]
    assert any(said in problem for problem in problems), problems


def test_a_sampler_that_cannot_keep_bounds_is_refused_with_them() -> None:
    problems = sampler_problems("cmaes", {}, NUMBERS, 1, ["parameters"])
    assert "cannot keep to the constraints on parameters; choose from tpe, nsga2, gp" in problems[0]
    assert sampler_problems("gp", {}, NUMBERS, 1, ["parameters"]) == []


def test_all_problems_come_at_once() -> None:
    problems = sampler_problems("cmaes", {"population": -1, "sigma": 2}, MIXED, 3)
    assert len(problems) == 5 + (not HAS_CMAES)


def test_a_missing_package_is_named() -> None:
    problems = sampler_problems("cmaes", {}, NUMBERS, 1)
    assert problems == ([] if HAS_CMAES else ["sampler cmaes needs the package cmaes: pip install cmaes"])


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("objectives", [1, 2])
def test_every_sampler_searches_and_its_seed_decides(name: str, objectives: int) -> None:
    needs(name)
    if sampler_problems(name, {}, NUMBERS, objectives):
        pytest.skip("it refuses several objectives")

    def draws(seed: int) -> list[dict[str, object]]:
        study = optuna.create_study(
            directions=["minimize"] * objectives, sampler=build_sampler(name, QUICK.get(name, {}), seed)
        )
        found = []
        for index in range(14):
            trial = study.ask()
            values = suggest(trial, NUMBERS)
            assert contains(NUMBERS, values) is None
            found.append(dict(values))
            study.tell(trial, [float(index % 3), float(index % 5)][:objectives])
        return found  # type: ignore[return-value]

    first = draws(1)
    assert first == draws(1)
    # The first trials are random draws in every sampler; what comes after them must depend on the seed as well.
    assert first[-1] != draws(2)[-1]


QUICK: dict[str, dict[str, object]] = {
    "tpe": {"startup_trials": 3},
    "gp": {"startup_trials": 13},
    "nsga2": {"population": 4},
    "cmaes": {"population": 4},
}


def test_options_reach_the_sampler() -> None:
    """Each by what it changes: startup trials by the draws, the population by when generations begin."""

    def after_six(name: str, options: dict[str, object]) -> tuple[dict[str, object], object]:
        study = optuna.create_study(sampler=build_sampler(name, options, 0))  # type: ignore[arg-type]
        for index in range(6):
            trial = study.ask()
            suggest(trial, NUMBERS)
            study.tell(trial, float(index))
        trial = study.ask()
        return dict(suggest(trial, NUMBERS)), study.trials[-1].system_attrs.get("NSGAIISampler:generation")

    assert after_six("tpe", {"startup_trials": 6}) != after_six("tpe", {"startup_trials": 20})
    assert after_six("tpe", {"startup_trials": 2}) != after_six("tpe", {"startup_trials": 2, "candidates": 1})
    assert after_six("nsga2", {"population": 3})[1] == 2
    assert after_six("nsga2", {"population": 6})[1] == 1
    lazy = {"population": 3, "crossover": 0.0}
    assert after_six("nsga2", {**lazy, "mutation": 1.0}) != after_six("nsga2", {**lazy, "mutation": 1e-9})
    assert after_six("nsga2", {**lazy, "mutation": 1e-9}) != after_six("nsga2", {"population": 3, "mutation": 1e-9})
    assert after_six("qmc", {"sequence": "sobol"}) != after_six("qmc", {"sequence": "halton"})


def test_the_population_of_cmaes_is_how_many_make_a_generation() -> None:
    pytest.importorskip("cmaes")

    def generation(options: dict[str, object]) -> object:
        study = optuna.create_study(sampler=build_sampler("cmaes", options, 0))  # type: ignore[arg-type]
        for index in range(10):
            trial = study.ask()
            suggest(trial, NUMBERS)
            study.tell(trial, float(index))
        return study.trials[-1].system_attrs["cma:generation"]

    assert (generation({"population": 4}), generation({"population": 5}), generation({"population": 8})) == (2, 1, 1)
    assert generation({"population": 4, "startup_trials": 4}) == 1


def test_qmc_is_more_even_than_random() -> None:
    study = optuna.create_study(sampler=build_sampler("qmc", {}, 0))
    for _ in range(17):
        trial = study.ask()
        suggest(trial, {"loss.color": Uniform(0.0, 1.0)})
        study.tell(trial, 0.0)
    values = [float(trial.params["loss.color"]) for trial in study.get_trials(states=[TrialState.COMPLETE])]
    # After the first trial, whose parameters it does not know yet, every sixteenth of the range is hit once.
    assert sorted(int(16 * value) for value in values[1:]) == list(range(16))
