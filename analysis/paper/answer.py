"""A run held against a published table: the same networks, by relative time and quality.

Absolute times and scores of other machines, pictures and training lengths say little about each other. What can be
compared is order: which network is faster, which is better, and which no other one beats. Times are in units of the
DPED baseline's (resnet 3/64/4), which both sides have timed.
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
    """Spearman's rho of `n` networks with the ends of its interval; NaN where there is none."""

    rho: float
    low: float
    high: float
    n: int


def paper_rows(table: str) -> pd.DataFrame:
    """The rows of "fpie1" (17), "fpie2" (7) or "all" (24) as `analysis/paper/fpie.csv` has them, with `relative_time`.

    Both tables of the paper are relative to the baseline's row, which is in the first. Raises LedgerError for another
    table.
    """
    if table not in (*TABLES, "all"):
        raise LedgerError(f"{table!r} is not a table; choose from {', '.join(TABLES)}, all")
    rows = pd.read_csv(str(files("analysis.paper") / "fpie.csv"), comment="#")
    rows["relative_time"] = rows["time_s"] / rows.loc[rows["network"] == BASELINE, "time_s"].item()
    chosen: pd.DataFrame = rows if table == "all" else rows[rows["table"] == table]
    return chosen.reset_index(drop=True)


def compare_networks(ledgers: Sequence[Ledger], table: str) -> pd.DataFrame:
    """One row per network of the paper's table, in its order, with what the runs say of it.

    Columns: `table`, `network`, `parameters` and `config.net.*` as in the paper's file; `paper.relative_time`,
    `paper.ms_ssim`, `paper.psnr_db`; `configuration`, `label`, `stage`, `n_seeds`, `interval_over`, `steps` and
    `candidates` (how many configurations have this network; 0: the run lacks it); `ours.relative_time`, `ours.ms_ssim`
    and `ours.psnr_db` with `ours_low.*` and `ours_high.*`; `both` (time and MS-SSIM known on both sides), `paper.front`
    and `ours.front` (among the rows of `both`: not beaten in time and MS-SSIM at once); `conditions` and `contended` of
    our timing.

    A network whose training did not complete has its time all the same, and no scores: it was timed before.
    Of several configurations of one network the one with the best MS-SSIM counts. The scores are those of fresh seeds
    if all networks have them, else the search's own for all: confirmed scores beside lucky ones would turn the order.
    The times are of the runs' `costs` under one set of conditions, or, where no run has any, metric.latency_ratio.
    Raises LedgerError where the runs have no network of the table, no MS-SSIM, or no latency.
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
    # A network was timed before it was trained: what became of the training says nothing about its time.
    keys = pd.Series(network_keys(timed).to_numpy(), index=timed["network"].to_numpy(), dtype="object")
    frame["key"] = frame["key"].fillna(frame["network"].map(keys[~keys.index.duplicated(keep="last")]))
    frame = _with_times(frame, ledgers)
    if not np.isfinite(frame["ours.relative_time"]).any():
        raise LedgerError(
            f"{_paths(ledgers)} has no latency of a network of {table}: neither costs/*.parquet "
            "nor metric.latency_ratio says how long one takes beside DPED"
        )
    return _with_fronts(frame)


def paper_points(table: str, ledgers: Sequence[Ledger], objectives: Sequence[Objective]) -> pd.DataFrame:
    """The paper's points for a front of latency_ratio and ms_ssim: a column for each, a row per network of `table`.

    Raises LedgerError for other objectives (its PSNR is of other pictures and differs by decibels, others it does not
    print) and for other pictures than DPED's patches.
    """
    if {own.metric for own in objectives} != {"latency_ratio", "ms_ssim"}:
        asked = ", ".join(own.metric for own in objectives)
        raise LedgerError(
            f"the paper's points are comparable in latency_ratio and ms_ssim only, not in {asked}: its PSNR is of "
            "other images. Say --objectives ms_ssim latency_ratio"
        )
    others = [str(ledger.runs["run.data_spec"].iloc[-1]) for ledger in ledgers]
    others = [spec for spec in others if not spec.startswith("dped:")]
    if others:
        raise LedgerError(f"the paper's MS-SSIM is of DPED's patches; that of {others[0]} is not comparable with it")
    rows = paper_rows(table)
    return rows.rename(columns={"relative_time": "latency_ratio"})[["network", "latency_ratio", "ms_ssim"]]


def rank_correlation(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Spearman's rank correlation (scipy) of n pairs with a 95 % interval by Fisher's transformation.

    The standard error of arctanh(rho) is sqrt((1 + rho^2 / 2) / (n - 3)) (Bonett and Wright, Psychometrika 2000), which
    allows for high correlations, such as those of times. A bootstrap over the rows was no better where it was tried on
    normal pairs (400 draws each): at 17 rows and a rho of 0.95 this interval held the truth in 94 % of the draws, the
    percentile bootstrap in 97 % by being wider; at 7 rows 84 % and 86 %. So with few rows and a high rho both are too
    narrow. This one needs no random numbers.

    It treats the networks as a sample of such networks. There is no interval for fewer than 4 pairs, nor for a rho of
    1 or -1, where its width would be 0; and no rho for fewer than 3, nor where all x or all y are equal.
    """
    from scipy.stats import spearmanr  # takes 0.6 s to load: only where there is a paper to compare with

    first, second = (np.asarray(values, dtype=np.float64) for values in (x, y))
    n, nothing = first.size, float("nan")
    if n < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return Correlation(nothing, nothing, nothing, n)
    rho = float(spearmanr(first, second).statistic)
    if n < _FEWEST or abs(rho) > 1 - 1e-9:
        return Correlation(rho, nothing, nothing, n)
    half = Z_95 * np.sqrt((1 + rho**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(rho) + np.array([-half, half]))
    return Correlation(rho, float(low), float(high), n)


def correlations(frame: pd.DataFrame) -> dict[str, Correlation]:
    """The rank correlations of `relative_time` and `ms_ssim` with the paper's, of a frame of `compare_networks`."""
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
        ("timed and not completed in the run", lacking & known),
        ("neither timed nor completed in the run", lacking & ~known),
        ("without a time or MS-SSIM", ~lacking & ~frame["both"]),
    ):
        if mask.any():
            lines.append(f"{words}: {', '.join(frame.loc[mask, 'network'])} ({int(mask.sum())} of {len(frame)})")
    return lines


def conventions(ledgers: Sequence[Ledger], frame: pd.DataFrame) -> list[str]:
    """Sentences about what keeps the two sides of `compare_networks` from being the same measurement."""
    found = [_timing(frame)]
    if "fpie2" in set(frame["table"]):
        found.append("the paper trained 3-4 16-64 for 40,000 steps; of the rest of Table 2 it does not print how long")
    data = sorted({str(spec) for ledger in ledgers for spec in ledger.runs["run.data_spec"]})
    if any(not spec.startswith("dped:") for spec in data):
        found.append(f"the paper's pictures are DPED's iPhone test patches, ours are {', '.join(data)}")
    found += _recipes(ledgers, frame)
    found.append(
        "PSNR is saved and not compared: the paper's and psnr_db are means over images (not DPED's pooled one), "
        "but of other images they differ by decibels"
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
    """The rows of `frame` that are networks of the paper, with the column `network`."""
    leaves = frame.reindex(columns=list(_LEAVES)).set_axis(frame.index)
    names = dict(zip(network_keys(rows[list(_LEAVES)]), rows["network"], strict=True))
    return frame.assign(network=network_keys(leaves).map(names)).dropna(subset="network")


def _scores(ledger: Ledger, rows: pd.DataFrame) -> pd.DataFrame:
    """The configurations of a run that are networks of the paper, all of one stage."""
    if not (ledger.read("trials", ["ending"])["ending"] == "completed").any():
        return pd.DataFrame(columns=["network", "metric.ms_ssim", *_KEPT, *_LEAVES])
    search = configurations(ledger, search=True)
    if "metric.ms_ssim" not in search.columns:
        raise LedgerError(f"the trials of {ledger.path} have no metric.ms_ssim, which the paper's tables are ranked by")
    own = _match_networks(search, rows)
    if not has_confirmations(ledger):
        return own
    fresh = _match_networks(results(configurations(ledger)), rows)
    return fresh if set(fresh["network"]) >= set(own["network"]) else own


def _paper_columns(rows: pd.DataFrame) -> pd.DataFrame:
    kept = rows[["table", "network", "parameters", *_LEAVES]]
    return kept.assign(**{f"paper.{name}": rows[name] for name in ("relative_time", "ms_ssim", "psnr_db")})


def _best(found: pd.DataFrame) -> pd.DataFrame:
    """One row per network: the configuration with the best MS-SSIM."""
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
        values = frame[[f"{side}.relative_time", f"{side}.ms_ssim"]].where(frame["both"], float("nan"))
        frame[f"{side}.front"] = front(values.set_axis([o.column for o in objectives], axis="columns"), objectives)
    return frame


# --- the words ---------------------------------------------------------------------------------------------------


def _correlation_line(name: str, found: Correlation) -> str:
    of = "1 network" if found.n == 1 else f"{found.n} networks"
    if not np.isfinite(found.rho):
        return f"rank correlation of {name} with the paper's: unknown, of {of}"
    ends = f"95 % interval {found.low:.2f} to {found.high:.2f}" if np.isfinite(found.low) else "no interval"
    return f"rank correlation of {name} with the paper's: {found.rho:.2f} ({ends}, {of})"


def _timing(frame: pd.DataFrame) -> str:
    known = frame["conditions"].dropna()
    ours = f"ours: {known.iloc[0]}" if len(known) else "ours are the trials' own metric.latency_ratio"
    return f"times are relative to {BASELINE}; the paper prints neither hardware nor size of its pictures, {ours}"


def _recipes(ledgers: Sequence[Ledger], frame: pd.DataFrame) -> list[str]:
    """How the training of the compared trials differs from the paper's."""
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
        found.append(f"{int(single.sum())} of {int(frame['both'].sum())} networks stand on one seed")
    busy = int((frame["contended"] == True).sum())  # noqa: E712 (null where it is not known)
    if busy:
        found.append(f"{busy} of our times were measured while the device was busy with something else")
    others = other_conditions(_costs(ledgers))
    if frame["conditions"].notna().any() and others:
        found.append(f"other conditions of timing that are left out: {others}")
    return found
