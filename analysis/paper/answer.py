"""A run compared with a published table: the same networks, by relative time and quality.

Absolute times and scores depend on the machine, the images and the length of training, so they cannot be compared. The
order can: which network is faster, which is better, and which are on the Pareto front. Times are relative to that of
the DPED baseline (resnet 3/64/4), which both sides have timed.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.frontier.configurations import configurations, front, has_confirmations, results
from analysis.ledger.costs import comparable, conditions_text, network_keys, other_conditions
from analysis.ledger.load import Ledger, LedgerError, Objective
from analysis.ledger.schema import LATENCY_RATIO
from analysis.ledger.units import counted
from analysis.statistics.intervals import Z_95

TABLES = ("fpie1", "fpie2")
BASELINE = "3/64/4"
_FEWEST = 4  # an interval of a rank correlation needs n > 3
_LEAVES = tuple(
    f"config.net.{name}" for name in ("family", "kernel", "strided_kernel", "channels", "blocks", "norm", "activation")
)
_KEPT = ["configuration", "label", "stage", "n_seeds", "interval_over", "steps", "images"]
_SIDES = ("paper", "ours")
_PAPER_RECIPE = {"config.train.steps": 25_000, "config.train.batch_size": 50, "config.train.crop_px": 100}


class Correlation(NamedTuple):
    """Spearman's rho of `n` networks with the ends of its 95 % interval; NaN if undefined."""

    rho: float
    low: float
    high: float
    n: int


def paper_rows(table: str) -> pd.DataFrame:
    """The rows of `analysis/paper/fpie.csv` of "fpie1" (17), "fpie2" (7) or "all" (24), with `relative_time`.

    The times of both tables are relative to the baseline's row, which is in the first. Raises LedgerError for any other
    table.
    """
    if table not in (*TABLES, "all"):
        raise LedgerError(f"{table!r} is not a table; choose from {', '.join(TABLES)}, all")
    rows = pd.read_csv(str(files("analysis.paper") / "fpie.csv"), comment="#")
    rows["relative_time"] = rows["time_s"] / rows.loc[rows["network"] == BASELINE, "time_s"].item()
    chosen: pd.DataFrame = rows if table == "all" else rows[rows["table"] == table]
    return chosen.reset_index(drop=True)


def compare_networks(ledgers: Sequence[Ledger], table: str) -> pd.DataFrame:
    """One row per network of the paper's table, in its order, with the runs' results for it.

    Columns: `table`, `network`, `parameters` and `config.net.*` as in `fpie.csv`; `paper.relative_time`,
    `paper.ms_ssim`, `paper.psnr_db`; `configuration`, `label`, `stage`, `n_seeds`, `interval_over`, `steps` and
    `candidates` (how many configurations have this network); `ours.relative_time`, `ours.ms_ssim`
    and `ours.psnr_db` with `ours_low.*` and `ours_high.*`; `both` (time and MS-SSIM known on both sides), `paper.front`
    and `ours.front` (Pareto front of time and MS-SSIM among the rows of `both`); `conditions` and `contended` of our
    timing.

    Networks are timed before they are trained, so one whose training did not complete has a time but no scores. If
    several configurations have the same network, the one with the best MS-SSIM counts. Scores are those of fresh seeds
    if all networks have them, else the search's own for all: a mix of confirmed and lucky scores would change the
    order. Times come from the runs' `costs` under one set of conditions or, if no run has any, from
    metric.latency_ratio. Raises LedgerError if the runs have no network of the table, no MS-SSIM, or no latency.
    """
    rows = paper_rows(table)
    found = pd.concat([_scores(ledger, rows) for ledger in ledgers], ignore_index=True)
    timed = _match_networks(_costs(ledgers), rows)
    if found.empty and timed.empty:
        known = ", ".join(rows["network"])
        raise LedgerError(
            f"no completed configuration and no measured network of {_paths(ledgers)} is one of {table} ({known})"
        )
    frame = _paper_columns(rows).join(_best(found), on="network")
    frame["candidates"] = found["network"].value_counts().reindex(frame["network"], fill_value=0).to_numpy()
    # Networks without a completed trial have a time as well, so look up their keys among the timed ones.
    keys = pd.Series(network_keys(timed).to_numpy(), index=timed["network"].to_numpy(), dtype="object")
    frame["key"] = frame["key"].fillna(frame["network"].map(keys[~keys.index.duplicated(keep="last")]))
    frame = _with_times(frame, ledgers)
    if not np.isfinite(frame["ours.relative_time"]).any():
        raise LedgerError(
            f"{_paths(ledgers)} has no latency of a network of {table}: neither costs/*.parquet "
            "nor metric.latency_ratio gives a time relative to DPED's"
        )
    return _with_fronts(frame)


def paper_points(table: str, ledgers: Sequence[Ledger], objectives: Sequence[Objective]) -> pd.DataFrame:
    """The paper's points for a front of latency_ratio and ms_ssim: a column for each, a row per network of `table`.

    Raises LedgerError for other objectives (the paper's PSNR is over other images and can differ by decibels, and it
    reports nothing else), and if the runs' images are not DPED's patches.
    """
    if {own.metric for own in objectives} != {"latency_ratio", "ms_ssim"}:
        asked = ", ".join(own.metric for own in objectives)
        raise LedgerError(
            f"the paper's points are comparable in latency_ratio and ms_ssim only, not in {asked} (its PSNR is over "
            "other images); use --objectives ms_ssim latency_ratio"
        )
    others = [str(ledger.runs["run.data_spec"].iloc[-1]) for ledger in ledgers]
    others = [spec for spec in others if not spec.startswith("dped:")]
    if others:
        raise LedgerError(f"the paper's MS-SSIM is over DPED's patches and cannot be compared with that of {others[0]}")
    rows = paper_rows(table)
    return rows.rename(columns={"relative_time": "latency_ratio"})[["network", "latency_ratio", "ms_ssim"]]


def rank_correlation(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Spearman's rank correlation (scipy) of n pairs with a 95 % interval by Fisher's transformation.

    The standard error of arctanh(rho) is sqrt((1 + rho^2 / 2) / (n - 3)) (Bonett and Wright, Psychometrika 65, 2000),
    which also holds for high correlations such as those of times. Simulated on normal pairs (400 draws) with rho 0.95,
    the interval covers the true rho in 94 % of the draws at n = 17 and in 84 % at n = 7; the percentile bootstrap,
    which is wider, in 97 % and 86 %. With few networks both are too narrow; this one needs no random numbers.

    The networks count as a random sample of such networks. The interval is NaN for fewer than 4 pairs and for a rho of
    1 or -1, where its width would be 0; rho is NaN for fewer than 3 pairs and if all x or all y are equal.
    """
    # Here, since it takes 0.6 s to load and only this comparison needs it.
    from scipy.stats import spearmanr

    first, second = (np.asarray(values, dtype=np.float64) for values in (x, y))
    n, nothing = first.size, float("nan")
    if n < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return Correlation(nothing, nothing, nothing, n)
    rho = float(spearmanr(first, second).statistic)
    # arctanh(1) is infinite; rounding may leave a perfect rho just below 1.
    if n < _FEWEST or abs(rho) > 1 - 1e-9:
        return Correlation(rho, nothing, nothing, n)
    half = Z_95 * np.sqrt((1 + rho**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(rho) + np.array([-half, half]))
    return Correlation(rho, float(low), float(high), n)


def correlations(frame: pd.DataFrame) -> dict[str, Correlation]:
    """The rank correlations of `relative_time` and `ms_ssim` with the paper's, from a frame of `compare_networks`."""
    return {
        name: rank_correlation(known[f"paper.{name}"], known[f"ours.{name}"])
        for name, known in (("relative_time", _ours_timed(frame)), ("ms_ssim", frame[frame["both"]]))
    }


def comparison_lines(frame: pd.DataFrame) -> list[str]:
    """Summarize `compare_networks`: the rank correlations, both fronts, and the networks missing from the runs."""
    both, timed, ranks = frame[frame["both"]], _ours_timed(frame), correlations(frame)
    lines = [
        _correlation_line("relative time", ranks["relative_time"]),
        _correlation_line("MS-SSIM", ranks["ms_ssim"]),
    ]
    theirs, ours = both["paper.front"], both["ours.front"]
    for words, mask in (("both fronts", theirs & ours), ("the paper's front only", theirs & ~ours),
                        ("our front only", ours & ~theirs)):  # fmt: skip
        lines.append(f"on {words}: {', '.join(both.loc[mask, 'network']) or 'none'}")
    lacking = frame["candidates"] == 0
    known = frame.index.isin(timed.index)
    for words, mask in (
        ("timed but not completed in the run", lacking & known),
        ("neither timed nor completed in the run", lacking & ~known),
        ("without a time or MS-SSIM", ~lacking & ~frame["both"]),
    ):
        if mask.any():
            lines.append(f"{words}: {', '.join(frame.loc[mask, 'network'])} ({int(mask.sum())} of {len(frame)})")
    return lines


def conventions(ledgers: Sequence[Ledger], frame: pd.DataFrame) -> list[str]:
    """Sentences on how the measurements behind the two sides of `compare_networks` differ."""
    found = [_timing(frame)]
    if "fpie2" in set(frame["table"]):
        found.append("the paper trained 3-4 16-64 for 40,000 steps; for the rest of Table 2 it does not say how long")
    data = sorted({str(spec) for ledger in ledgers for spec in ledger.runs["run.data_spec"]})
    if any(not spec.startswith("dped:") for spec in data):
        found.append(f"the paper's images are DPED's iPhone test patches, ours are {', '.join(data)}")
    found += _recipes(ledgers, frame)
    found.append(
        "PSNR is saved but not compared: the paper's, like psnr_db, is a mean over images (DPED's own is pooled), but "
        "over other images, so the two can differ by decibels"
    )
    found += _doubts(ledgers, frame)
    return found


# --- the steps ---------------------------------------------------------------------------------------------------


def _ours_timed(frame: pd.DataFrame) -> pd.DataFrame:
    known: pd.DataFrame = frame[np.isfinite(frame["ours.relative_time"])]
    return known


def _paths(ledgers: Sequence[Ledger]) -> str:
    return ", ".join(str(ledger.path) for ledger in ledgers)


def _match_networks(frame: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `frame` that are networks of the paper, with their names in the column `network`."""
    # Leaves that no network of the run has become null, which `network_keys` takes for absent.
    leaves = frame.reindex(columns=list(_LEAVES)).set_axis(frame.index)
    names = dict(zip(network_keys(rows[list(_LEAVES)]), rows["network"], strict=True))
    return frame.assign(network=network_keys(leaves).map(names)).dropna(subset="network")


def _scores(ledger: Ledger, rows: pd.DataFrame) -> pd.DataFrame:
    """The configurations of a run that are networks of the paper: all confirmed, or all as the search scored them."""
    if not (ledger.read("trials", ["ending"])["ending"] == "completed").any():
        return pd.DataFrame(columns=["network", "metric.ms_ssim", *_KEPT, *_LEAVES])
    search = configurations(ledger, search=True)
    if "metric.ms_ssim" not in search.columns:
        raise LedgerError(f"the trials of {ledger.path} have no metric.ms_ssim, which the paper's tables are ranked by")
    own = _match_networks(search, rows)
    if not has_confirmations(ledger):
        return own
    fresh = _match_networks(results(configurations(ledger)), rows)
    # A sweep confirms its best only, which as a rule is not the whole grid.
    return fresh if set(fresh["network"]) >= set(own["network"]) else own


def _paper_columns(rows: pd.DataFrame) -> pd.DataFrame:
    kept = rows[["table", "network", "parameters", *_LEAVES]]
    return kept.assign(**{f"paper.{name}": rows[name] for name in ("relative_time", "ms_ssim", "psnr_db")})


def _best(found: pd.DataFrame) -> pd.DataFrame:
    """One row per network: the configuration with the best MS-SSIM."""
    # The digest breaks ties, so that equal ledgers give equal rows.
    order = found.sort_values(["metric.ms_ssim", "configuration"], ascending=[False, True], kind="stable")
    best = order.drop_duplicates("network").set_index("network")
    frame = best[_KEPT].copy()
    frame["key"] = network_keys(best)
    for metric in ("ms_ssim", "psnr_db", "latency_ratio"):
        for part, name in (("metric", "ours"), ("low", "ours_low"), ("high", "ours_high")):
            column = f"{part}.{metric}"
            frame[f"{name}.{metric}"] = best[column] if column in best.columns else float("nan")
    return frame


def _with_times(frame: pd.DataFrame, ledgers: Sequence[Ledger]) -> pd.DataFrame:
    """`frame` with `ours.relative_time`, its interval, and the conditions that it was measured under."""
    times = {f"{name}.latency_ratio": f"{name}.relative_time" for name in ("ours", "ours_low", "ours_high")}
    timed = comparable(_costs(ledgers), frame["key"].dropna())
    if timed.empty:
        return frame.rename(columns=times).assign(conditions=None, contended=None).drop(columns="key")
    for ratio, name in zip(LATENCY_RATIO, times.values(), strict=True):
        frame[name] = frame["key"].map(timed[ratio]).astype("float64")
    frame["conditions"] = frame["key"].map(pd.Series([conditions_text(row) for row in timed.to_dict("records")],
                                                     index=timed.index, dtype="object"))  # fmt: skip
    frame["contended"] = frame["key"].map(timed["cost.contended"]) if "cost.contended" in timed.columns else None
    return frame.drop(columns=["key", *times])


def _costs(ledgers: Sequence[Ledger]) -> pd.DataFrame:
    tables = [ledger.costs for ledger in ledgers if len(ledger.costs)]
    return pd.concat(tables, ignore_index=True) if tables else ledgers[0].costs


def _with_fronts(frame: pd.DataFrame) -> pd.DataFrame:
    measured = frame[["ours.relative_time", "ours.ms_ssim"]].to_numpy(dtype=np.float64)
    frame["both"] = np.isfinite(measured).all(axis=1)
    objectives = [Objective("time", "minimize"), Objective("quality", "maximize")]
    for side in _SIDES:
        # Both fronts are over the same networks, or one side would lose members that the other lacks.
        values = frame[[f"{side}.relative_time", f"{side}.ms_ssim"]].where(frame["both"], float("nan"))
        frame[f"{side}.front"] = front(values.set_axis([o.column for o in objectives], axis="columns"), objectives)
    return frame


# --- the words ---------------------------------------------------------------------------------------------------


def _correlation_line(name: str, found: Correlation) -> str:
    of = counted(found.n, "network")
    if not np.isfinite(found.rho):
        return f"rank correlation of {name} with the paper's: unknown, of {of}"
    ends = f"95 % interval {found.low:.2f} to {found.high:.2f}" if np.isfinite(found.low) else "no interval"
    return f"rank correlation of {name} with the paper's: {found.rho:.2f} ({ends}, {of})"


def _timing(frame: pd.DataFrame) -> str:
    known = frame["conditions"].dropna()
    ours = f"ours: {known.iloc[0]}" if len(known) else "ours are the trials' own metric.latency_ratio"
    return f"times are relative to {BASELINE}; the paper states neither its hardware nor its image size; {ours}"


def _recipes(ledgers: Sequence[Ledger], frame: pd.DataFrame) -> list[str]:
    """A sentence on how the training of the compared trials differs from the paper's; none if it does not."""
    told = ["configuration", *_PAPER_RECIPE]
    trials = pd.concat([ledger.read("trials", told) for ledger in ledgers], ignore_index=True)
    trials = trials[trials["configuration"].isin(frame["configuration"].dropna())]
    parts = []
    for column, theirs in _PAPER_RECIPE.items():
        values = trials[column].dropna().astype("int64") if column in trials.columns else pd.Series(dtype="int64")
        if len(values) and (values != theirs).any():
            least, most = values.min(), values.max()
            ours = f"{least:,}" if least == most else f"{least:,} to {most:,}"
            parts.append(f"{column.removeprefix('config.')} {ours} (the paper {theirs:,})")
    return [f"the training differs: {', '.join(parts)}"] if parts else []


def _doubts(ledgers: Sequence[Ledger], frame: pd.DataFrame) -> list[str]:
    found = []
    several = frame["candidates"] > 1
    if several.any():
        found.append(f"networks with several configurations: {int(several.sum())}; the best MS-SSIM of each counts, "
                     "which is partly luck")  # fmt: skip
    single = frame["both"] & (frame["n_seeds"] == 1)
    if single.any():
        found.append(f"{int(single.sum())} of {int(frame['both'].sum())} networks have a single seed")
    busy = int((frame["contended"] == True).sum())  # noqa: E712 (null where it is not known)
    if busy:
        found.append(f"{busy} of our times were measured while other work kept the device busy")
    others = other_conditions(_costs(ledgers))
    if frame["conditions"].notna().any() and others:
        found.append(f"timings under other conditions are left out ({others} sets of conditions)")
    return found
