"""Which parameters a score depends on: fANOVA and PED-ANOVA (Optuna), and the forest's marginals (scikit-learn).

The only file of `analysis` that knows Optuna. Both methods fit a model, so both find some importance in pure noise.
Therefore an estimate has two companions: a bootstrap over configurations says how much it would change with others of
them, and permutations of the scores say what chance alone would give.

A `Log` parameter enters as its logarithm. Optuna's fANOVA averages over the bounds as they are (5.0), so that of 0.01
to 100 nine tenths of the weight would lie above 10, where the search put a quarter of its points.
"""

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import optuna
import pandas as pd
from numpy.typing import ArrayLike
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.special import ndtri
from sklearn.ensemble import RandomForestRegressor

from analysis.ledger.space import Parameter
from analysis.statistics.intervals import Floats

TREES = 64
"""Of the forest of an estimate, as in Optuna."""

FEW_TREES = 8
"""Of each forest of a bootstrap or permutation: the spread that few trees add makes intervals and chance larger."""

BEST_SHARE, BEST_COUNT = 0.1, 5
"""PED-ANOVA asks what the best tenth have in common, and wants at least 5 (Optuna's documentation)."""

FEWEST = 4 * BEST_COUNT
"""With fewer configurations the best 5 would be more than a quarter of all, and nothing is estimated."""

_FOREST_TREES = 256  # enough that every configuration is out of many trees' bags

Estimator = Callable[[pd.DataFrame, Floats, int], pd.Series]
"""Importances by parameter from values (n, parameters), scores (n,) and a seed, which is the number of a resample."""


def fanova(
    values: pd.DataFrame, scores: ArrayLike, parameters: Sequence[Parameter], seed: int, trees: int = TREES
) -> pd.Series:
    """The share of the scores' variance over the space that each parameter accounts for alone; the rest interacts.

    `values` (n, parameters) has a column for each of `parameters`, every cell filled; `scores` (n,) are finite. 0 to 1
    by the parameter's name; NaN where the scores do not vary. Hutter, Hoos, Leyton-Brown, "An Efficient Approach for
    Assessing Hyperparameter Importance", ICML 2014. Raises ValueError for a cell that is empty or outside its range.
    """
    study = _study(values, np.asarray(scores, dtype=np.float64), parameters)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=trees, seed=seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # normalize=False: shares of all
            found = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    except RuntimeError:  # "zero total variance in all trees": nothing varies in what the trees have drawn
        return _series({}, parameters, math.nan)
    return _series(found, parameters, 0.0)


def ped_anova(values: pd.DataFrame, scores: ArrayLike, parameters: Sequence[Parameter]) -> pd.Series:
    """How far the values of the best configurations differ from those of all (a Pearson divergence, 0: not at all).

    `values` (n, parameters): a cell is NaN or None where a condition switches the parameter off. `scores` (n,): less is
    better. The best are `best_share` of all. Watanabe, Bansal, Hutter, "PED-ANOVA", IJCAI 2023 (arXiv 2304.10255);
    with conditions: arXiv 2601.20800. Raises ValueError for a cell outside its range.
    """
    study = _study(values, np.asarray(scores, dtype=np.float64), parameters)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best_share(len(values)))
    with warnings.catch_warnings():
        # "The importance may be inaccurate": with one configuration under a condition; its n is in the table.
        warnings.filterwarnings("ignore", message="Some regimes for parameter")
        warnings.filterwarnings("ignore", message="Target and region quantiles select the same set")
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # normalize=False
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    return _series(found, parameters, 0.0)


def best_share(n: int) -> float:
    """The share of `n` configurations that PED-ANOVA calls the best: a tenth, or as many as are 5. At most 1/2."""
    return min(0.5, max(BEST_SHARE, BEST_COUNT / n))


def resample_importances(
    estimate: pd.Series,
    estimator: Estimator,
    values: pd.DataFrame,
    scores: ArrayLike,
    generator: np.random.Generator,
    resamples: int,
    relative: bool = False,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """`estimate` (by parameter) as a column of that name, with `low`, `high` (its interval), `p` and `chance`.

    With `relative` the estimate, its interval and `chance` are divided by the sum over the parameters.

    The interval is the estimate and so many bootstrap standard errors (configurations drawn with replacement), cut to 0
    and 1; a percentile interval would lie too low, since a resample has fewer different configurations to learn from.
    `p`: how often, with the scores dealt out at random, the most important of all parameters gets at least the
    estimate (Westfall and Young's single-step maxT, "Resampling-Based Multiple Testing", 1993: it already allows for
    looking at all of them); `chance` is that maximum's 95 % quantile, at most 1.
    """
    y = np.asarray(scores, dtype=np.float64)
    drawn, dealt = [], []
    for number in range(resamples):
        rows = generator.integers(len(y), size=len(y))
        drawn.append(estimator(values.iloc[rows], y[rows], number))
        dealt.append(estimator(values, generator.permutation(y), number))
    again, most = pd.DataFrame(drawn), pd.DataFrame(dealt).max(axis=1).dropna().to_numpy(dtype=np.float64)
    above = (most[:, None] >= estimate.to_numpy(dtype=np.float64)[None, :]).sum(axis=0)
    unit = 1.0
    if relative:
        unit = float(estimate.sum()) or 1.0
        again = again.div(again.sum(axis=1).replace(0.0, 1.0), axis=0)
    centre, half = estimate / unit, ndtri(0.5 + confidence / 2) * again.std(ddof=1)
    frame = pd.DataFrame({"estimate": centre, "low": (centre - half).clip(0), "high": (centre + half).clip(upper=1)})
    frame["p"] = np.where(estimate.notna(), (1 + above) / (1 + len(most)), np.nan)
    frame["chance"] = min(1.0, float(np.quantile(most, confidence)) / unit) if most.size else math.nan
    return frame


class Marginals:
    """What a random forest makes of the scores (n,): predictions for some parameters, averaged over all others.

    `explained` is the share of the variance that it predicts of configurations that it has not seen (out of bag): near
    or below 0, and neither it nor an importance from such a forest says anything. Switched-off parameters are missing
    values to it.
    """

    def __init__(self, values: pd.DataFrame, scores: ArrayLike, parameters: Sequence[Parameter], seed: int) -> None:
        self.parameters = tuple(parameters)
        self._matrix = self._encoded(values)
        self._forest = RandomForestRegressor(_FOREST_TREES, oob_score=True, random_state=seed, min_samples_leaf=2)
        self._forest.fit(self._matrix, np.asarray(scores, dtype=np.float64))
        self.explained = float(self._forest.oob_score_)

    def at(self, points: pd.DataFrame) -> Floats:
        """Predictions (m,) for `points` (m, some parameters): the mean over the configurations for all the others.

        Friedman's partial dependence ("Greedy Function Approximation", Annals of Statistics 2001): the other parameters
        are as they were tried together.
        """
        given = [own for own in self.parameters if own.name in points.columns]
        columns = {own.name: self._columns(own) for own in given}
        grids = np.repeat(self._matrix[None], len(points), axis=0)  # (m, n, columns)
        for own in given:
            grids[:, :, columns[own.name]] = _encode(points[own.name], own)[:, None, :]
        predicted = self._forest.predict(grids.reshape(-1, self._matrix.shape[1]))
        means: Floats = predicted.reshape(len(points), -1).mean(axis=1)
        return means

    def _encoded(self, values: pd.DataFrame) -> Floats:
        return np.concatenate([_encode(values[own.name], own) for own in self.parameters], axis=1)

    def _columns(self, parameter: Parameter) -> slice:
        start = 0
        for own in self.parameters:
            width = _width(own)
            if own.name == parameter.name:
                return slice(start, start + width)
            start += width
        raise KeyError(parameter.name)


def grid(parameter: Parameter, count: int) -> list[object]:
    """The choices of a parameter, or at most `count` values from end to end of its range, as evenly as it counts."""
    if parameter.choices:
        return list(parameter.choices)
    ends = (math.log10(parameter.low), math.log10(parameter.high)) if parameter.log else (parameter.low, parameter.high)
    values = np.linspace(*ends, count)
    if parameter.log:
        return [float(value) for value in np.clip(10**values, parameter.low, parameter.high)]
    if parameter.step is None:
        return [float(value) for value in values]
    return list(range(int(parameter.low), int(parameter.high) + 1, parameter.step))


# --- what the libraries want -------------------------------------------------------------------------------------


def _study(values: pd.DataFrame, scores: Floats, parameters: Sequence[Parameter]) -> optuna.Study:
    """An in-memory study whose trials are the rows: empty cells are parameters that the trial does not have."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kinds = {own.name: _distribution(own) for own in parameters}
    columns = {own.name: [_scale(value, own) for value in values[own.name]] for own in parameters}
    trials = []
    for row, score in enumerate(scores.tolist()):
        there = {name: column[row] for name, column in columns.items() if column[row] is not None}
        held = {name: kinds[name] for name in there}
        trials.append(optuna.trial.create_trial(params=there, distributions=held, value=score))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trials(trials)
    return study


def _distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.choices:
        return CategoricalDistribution(parameter.choices)
    if parameter.log:
        return FloatDistribution(math.log10(parameter.low), math.log10(parameter.high))
    if parameter.step is None:
        return FloatDistribution(parameter.low, parameter.high)
    return IntDistribution(int(parameter.low), int(parameter.high), step=parameter.step)


def _scale(value: object, parameter: Parameter) -> object:
    """A value as the study has it; None for an empty cell. Raises ValueError outside of the range."""
    if value is None or value != value:
        return None
    inside = parameter.value(value)
    if parameter.log:
        # The logarithm of an end may lie an ulp beyond that of the bounds.
        return min(max(math.log10(float(inside)), math.log10(parameter.low)), math.log10(parameter.high))
    return inside


def _encode(values: pd.Series, parameter: Parameter) -> Floats:
    """Columns (n, width) for a forest: one number, or for words one column per choice; NaN where it is switched off."""
    scaled = [_scale(value, parameter) for value in values]
    if parameter.ordered:
        return np.array([[math.nan if value is None else float(str(value))] for value in scaled], dtype=np.float64)
    return np.array(
        [[math.nan if value is None else float(value == own) for own in parameter.choices] for value in scaled],
        dtype=np.float64,
    ).reshape(len(values), -1)


def _width(parameter: Parameter) -> int:
    return 1 if parameter.ordered else len(parameter.choices)


def _series(found: dict[str, float], parameters: Sequence[Parameter], otherwise: float) -> pd.Series:
    return pd.Series({own.name: float(found.get(own.name, otherwise)) for own in parameters}, dtype="float64")
