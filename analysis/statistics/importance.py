"""Parameter importance: fANOVA and PED-ANOVA (Optuna), and marginals of a random forest (scikit-learn).

The only file of `analysis` that imports Optuna. Both methods fit a model, so both find some importance in pure noise.
Two checks come with every estimate: a bootstrap over configurations shows how much it varies, and permutations of the
scores show what chance alone would give.

A `Log` parameter enters as its logarithm. Optuna's fANOVA (5.0) averages over the linear range: of 0.01 to 100, nine
tenths of the weight would lie above 10, where the search put a quarter of its points.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
"""Trees in the forest of an estimate; Optuna's default."""

FEW_TREES = 8
"""Trees in each bootstrap or permutation forest. The variance that few trees add only widens interval and chance."""

BEST_SHARE, BEST_COUNT = 0.1, 5
"""PED-ANOVA looks at the best tenth of the configurations; Optuna's documentation asks for at least 5."""

FEWEST = 4 * BEST_COUNT
"""With fewer configurations the best 5 would be more than a quarter of all, so nothing is estimated."""

_FOREST_TREES = 256  # enough that every configuration is out of bag in many trees

Estimator = Callable[[pd.DataFrame, Floats, int], pd.Series]
"""Importances by parameter, from values (n, parameters), scores (n,) and a seed (the number of the resample)."""


def fanova(
    values: pd.DataFrame, scores: ArrayLike, parameters: Sequence[Parameter], seed: int, trees: int = TREES
) -> pd.Series:
    """The share (0 to 1) of the scores' variance over the space that each parameter explains by its main effect.

    The remainder is due to interactions. `values` (n, parameters) has a filled column for each of `parameters`;
    `scores` (n,) are finite. Indexed by parameter name; NaN where the scores do not vary. Hutter, Hoos, Leyton-Brown,
    "An Efficient Approach for Assessing Hyperparameter Importance", ICML 2014. Raises ValueError for a cell that is
    empty or out of range.
    """
    study = _study(values, np.asarray(scores, dtype=np.float64), parameters)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=trees, seed=seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # normalize=False: shares of all
            found = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    except RuntimeError:  # "zero total variance in all trees": the trees' own resamples happen not to vary
        return _series({}, parameters, math.nan)
    return _series(found, parameters, 0.0)


def ped_anova(values: pd.DataFrame, scores: ArrayLike, parameters: Sequence[Parameter]) -> pd.Series:
    """How much the values of the best configurations differ from those of all: a Pearson divergence (0: not at all).

    `values` (n, parameters): a cell is NaN or None where a condition switches the parameter off. `scores` (n,): lower
    is better. "Best" is the share `best_share`. Watanabe, Bansal, Hutter, "PED-ANOVA", IJCAI 2023 (arXiv 2304.10255);
    with conditions: arXiv 2601.20800. Raises ValueError for a cell out of range.
    """
    study = _study(values, np.asarray(scores, dtype=np.float64), parameters)
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best_share(len(values)))
    with warnings.catch_warnings():
        # "The importance may be inaccurate" with a single configuration under a condition; the table shows its n.
        warnings.filterwarnings("ignore", message="Some regimes for parameter")
        warnings.filterwarnings("ignore", message="Target and region quantiles select the same set")
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # normalize=False
        found = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    return _series(found, parameters, 0.0)


def best_share(n: int) -> float:
    """The share of `n` configurations that PED-ANOVA counts as the best: a tenth, at least 5 of them, at most half."""
    return min(0.5, max(BEST_SHARE, BEST_COUNT / n))


@dataclass(frozen=True, eq=False)
class Resampled:
    """Importances by one estimator: `frame` has `estimate`, `low`, `high` by parameter, in units of `unit`.

    `observed` (by parameter) and `dealt` (a row per permutation) are the estimates of the scores as they are and
    permuted, in their own unit.
    """

    frame: pd.DataFrame
    unit: float
    observed: pd.Series
    dealt: pd.DataFrame


def permutations(scores: ArrayLike, count: int, seed: int) -> list[Floats]:
    """The scores (n,) in `count` random orders, which depend on n and the seed alone.

    Objectives of the same configurations are thus permuted together, which keeps how they depend on each other.
    """
    generator, y = np.random.default_rng(seed), np.asarray(scores, dtype=np.float64)
    return [y[generator.permutation(len(y))] for _ in range(count)]


def resample_importances(
    estimate: pd.Series,
    estimator: Estimator,
    values: pd.DataFrame,
    scores: ArrayLike,
    permuted: Sequence[Floats],
    generator: np.random.Generator,
    relative: bool = False,
    confidence: float = 0.95,
) -> Resampled:
    """`estimate` (by parameter) with its interval, and the estimates of `permuted` scores. As many resamples as those.

    With `relative`, estimate and interval are divided by the sum over the parameters.

    The interval is the estimate plus or minus normal quantiles of the bootstrap standard error (configurations drawn
    with replacement), clipped to 0 and 1. A percentile interval would lie too low, since a resample has fewer distinct
    configurations to learn from.
    """
    y = np.asarray(scores, dtype=np.float64)
    drawn, dealt = [], []
    for number, order in enumerate(permuted):
        rows = generator.integers(len(y), size=len(y))
        drawn.append(estimator(values.iloc[rows], y[rows], number))
        dealt.append(estimator(values, order, number))
    again, unit = pd.DataFrame(drawn), 1.0
    if relative:
        unit = float(estimate.sum()) or 1.0
        again = again.div(again.sum(axis=1).replace(0.0, 1.0), axis=0)
    center, half = estimate / unit, ndtri(0.5 + confidence / 2) * again.std(ddof=1)
    frame = pd.DataFrame({"estimate": center, "low": (center - half).clip(0), "high": (center + half).clip(upper=1)})
    return Resampled(frame, unit, estimate, pd.DataFrame(dealt)[list(estimate.index)])


def tell_from_chance(family: Sequence[Resampled], confidence: float = 0.95) -> list[pd.DataFrame]:
    """The frames of a family of estimates, with `p` and `chance`, corrected for every estimate in the family.

    All estimates are brought to one scale first: standard deviations from the mean of their own permutations, the
    observed one counted as a permutation, so that under chance alone it is like any other. `p` is how often the largest
    of the family, over all its parameters and estimators, reaches the estimate: Westfall and Young's single-step maxT
    ("Resampling-Based Multiple Testing", 1993). With 20 permutations it is at least 1/21. `chance` is what no parameter
    of the estimator gets beyond more often than one time in twenty.
    """
    scaled, scales = [], []
    for own in family:
        every = np.vstack([own.observed.to_numpy(dtype=np.float64), own.dealt.to_numpy(dtype=np.float64)])
        with warnings.catch_warnings():
            # An estimate that there is in no permutation, or in one alone.
            warnings.simplefilter("ignore", RuntimeWarning)
            mean, spread = np.nanmean(every, axis=0), np.nanstd(every, axis=0)
        spread = np.where(spread > 0, spread, np.nan)
        scaled.append((every - mean) / spread)
        scales.append((mean, spread))
    # -inf where an estimate has no scale, as one that never varies: it is never the largest.
    most = np.max([np.nan_to_num(part, nan=-np.inf).max(axis=1) for part in scaled], axis=0)
    limit = float(np.quantile(most[1:], confidence, method="higher")) if len(most) > 1 else math.nan
    frames = []
    for own, part, (mean, spread) in zip(family, scaled, scales, strict=True):
        p = (most[:, None] >= np.nan_to_num(part[0], nan=-np.inf)).mean(axis=0)
        reached = (mean + limit * spread) / own.unit
        chance = min(1.0, float(np.nanmax(reached))) if np.isfinite(reached).any() else math.nan
        frames.append(own.frame.assign(p=np.where(own.observed.notna(), p, np.nan), chance=chance))
    return frames


class Marginals:
    """A random forest of the scores (n,), and its predictions along some parameters, averaged over all others.

    `explained` is the out-of-bag R2, the share of the variance predicted for unseen configurations. Near or below 0,
    neither the predictions nor any importance from such a forest means anything. Switched-off parameters enter as
    missing values.
    """

    def __init__(self, values: pd.DataFrame, scores: ArrayLike, parameters: Sequence[Parameter], seed: int) -> None:
        self.parameters = tuple(parameters)
        self._matrix = self._encoded(values)
        # Leaves of one configuration would memorize its noise.
        self._forest = RandomForestRegressor(_FOREST_TREES, oob_score=True, random_state=seed, min_samples_leaf=2)
        self._forest.fit(self._matrix, np.asarray(scores, dtype=np.float64))
        self.explained = float(self._forest.oob_score_)

    def at(self, points: pd.DataFrame) -> Floats:
        """Friedman's partial dependence (m,) at `points` (m, some parameters).

        The mean over all configurations, each with the given parameters replaced ("Greedy Function Approximation",
        Annals of Statistics 2001): the other parameters keep the combinations that were tried.
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
    """The choices of a parameter, or at most `count` values across its range, evenly spaced on its own scale."""
    if parameter.choices:
        return list(parameter.choices)
    ends = (math.log10(parameter.low), math.log10(parameter.high)) if parameter.log else (parameter.low, parameter.high)
    values = np.linspace(*ends, count)
    if parameter.log:
        return [float(value) for value in np.clip(10**values, parameter.low, parameter.high)]
    if parameter.step is None:
        return [float(value) for value in values]
    return list(range(int(parameter.low), int(parameter.high) + 1, parameter.step))


# --- conversions for Optuna and scikit-learn -----------------------------------------------------------------------


def _study(values: pd.DataFrame, scores: Floats, parameters: Sequence[Parameter]) -> optuna.Study:
    """An in-memory study with a trial per row; an empty cell is a parameter that the trial does not have."""
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
    """A value on the study's scale; None for an empty cell. Raises ValueError if it is out of range."""
    if value is None or value != value:
        return None
    inside = parameter.value(value)
    if parameter.log:
        # Rounding may put the logarithm of a bound just outside the logarithmic range.
        return min(max(math.log10(float(inside)), math.log10(parameter.low)), math.log10(parameter.high))
    return inside


def _encode(values: pd.Series, parameter: Parameter) -> Floats:
    """Columns (n, width) for a forest: a number, or one-hot for unordered choices; NaN where switched off."""
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
