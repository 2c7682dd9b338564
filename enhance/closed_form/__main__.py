"""`python -m enhance.closed_form SPEC`: what a color correction fitted in closed form is worth on data."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Generator, Tensor

from enhance.closed_form import RIDGE
from enhance.closed_form.folds import Scores, cross_validated, held_out
from enhance.conditions import Conditions, Cost
from enhance.config.fast_nets import PolynomialConfig
from enhance.cost import measure
from enhance.data import DataError, PatchStore, open_data
from enhance.json_output import Parser, answer_text, error_text, plain
from enhance.nets import FAMILIES, parameter_count
from enhance.nets.fast.polynomial import COUNTS

SHOWN = {"psnr_db": ("PSNR (dB)", 2), "ssim": ("SSIM", 4), "ms_ssim": ("MS-SSIM", 4), "uqi": ("UQI", 4)}
NORMAL_95 = 1.96  # of a normal distribution: these are means over hundreds of pictures


def main(argv: Sequence[str] | None = None, program: str = "python -m enhance.closed_form") -> int:
    """Return the exit status: 0, or 2 if the data cannot be opened or the arguments do not suit them.

    `program` is the name of the command in its help.
    """
    arguments = _parser(program).parse(argv)
    config = PolynomialConfig(degree=arguments.degree, statistics=arguments.statistics)
    told = sys.stderr if arguments.json else sys.stdout
    try:
        data = open_data(arguments.spec, cache=arguments.cache, progress=lambda said: print(said, file=sys.stderr))
        if not data.paired:
            raise DataError(f"a closed form is fitted to pairs, and {data.spec} holds none")
        if not (math.isfinite(arguments.ridge) and arguments.ridge > 0):
            raise ValueError(f"--ridge={arguments.ridge:g} must be above 0")
        by_name = {
            f"{arguments.folds}-fold cross-validation": cross_validated(data, arguments.folds, config, arguments.ridge),
            "fitted on training, scored on validation pairs": held_out(data, config, arguments.ridge),
        }
    except (DataError, ValueError) as error:
        if arguments.json:
            print(error_text(str(error), "data" if isinstance(error, DataError) else "config"))
        else:
            print(f"error: {error}", file=sys.stderr)
        return 2
    cost = None
    if arguments.max_s:
        print("timing it beside DPED's network, both on one thread ...", file=told, flush=True)
        cost = measure(config, Conditions(threads=1, max_s=arguments.max_s))
    if arguments.json:
        print(answer_text("closed-form", _numbers(data, config, arguments.ridge, by_name, cost)))
    else:
        print("\n".join(_lines(data, config, arguments.ridge, by_name, cost)))
    return 0


def _numbers(
    data: PatchStore, config: PolynomialConfig, ridge: float, by_name: dict[str, Scores], cost: Cost | None
) -> dict[str, Any]:
    """The fields of the JSON object."""
    return {
        "spec": data.spec,
        "fingerprint": data.fingerprint,
        "net": {"family": config.family, **plain(config)},
        "parameters": _parameters(config),
        "ridge": ridge,
        "results": [_record(name, scores) for name, scores in by_name.items()],
        "cost": None if cost is None else plain(cost),
    }


def _record(name: str, scores: Scores) -> dict[str, Any]:
    means = {
        metric: {
            "untouched": float(scores.untouched[metric].mean()),
            "closed_form": float(values.mean()),
            **dict(zip(("gain", "gain_half"), _interval(values - scores.untouched[metric]), strict=True)),
        }
        for metric, values in scores.closed_form.items()
    }
    return {"name": name, "images": len(scores.untouched["psnr_db"]), "fit_s": scores.fit_s, "metrics": means}


def _interval(values: Tensor) -> tuple[float, float]:
    """The mean of paired differences (N,), and half of its 95 % interval over the pictures; NaN of a single one."""
    return float(values.mean()), NORMAL_95 * float(values.std()) / math.sqrt(len(values))


def _lines(
    data: PatchStore, config: PolynomialConfig, ridge: float, by_name: dict[str, Scores], cost: Cost | None
) -> list[str]:
    lines = [
        f"data         {data.spec}",
        f"closed form  degree {config.degree}, statistics {config.statistics}, {_parameters(config):,} coefficients, "
        f"ridge {ridge:g}",
    ]
    for name, scores in by_name.items():
        record = _record(name, scores)
        lines += ["", f"{name} ({record['images']} pairs)"]
        lines.append(f"  {'':<10}{'untouched':>11}{'closed form':>13}   gain (95 % interval over pictures)")
        for metric, (label, digits) in SHOWN.items():
            own = record["metrics"][metric]
            gain = f"{own['gain']:+.{digits}f} +- {own['gain_half']:.{digits}f}"
            lines.append(f"  {label:<10}{own['untouched']:>11.{digits}f}{own['closed_form']:>13.{digits}f}   {gain}")
        spent = sorted(record["fit_s"])
        each = f"{spent[len(spent) // 2]:.2f} s" + (f" ({spent[0]:.2f} to {spent[-1]:.2f})" if len(spent) > 1 else "")
        lines.append(f"  {'fit':<10}{each} of CPU time, on one core")
    return [*lines, *_cost_lines(cost)]


def _cost_lines(cost: Cost | None) -> list[str]:
    if cost is None:
        return []
    if cost.failure:
        return ["", f"latency: {cost.failure}"]
    at = f"{cost.conditions.width_px}x{cost.conditions.height_px}, {cost.conditions.device}, 1 thread"
    return [
        "",
        f"latency at {at}: {cost.latency_ms:.4g} ms (median of {cost.rounds} rounds; p95 {cost.latency_p95_ms:.4g} ms)",
        f"  DPED's network: {cost.baseline_ms:.4g} ms; the closed form takes {cost.latency_ratio:.3g} of that "
        f"[{cost.latency_ratio_low:.3g}, {cost.latency_ratio_high:.3g}] (95 % interval)",
        f"  contention: {cost.contention or 'none detected'}",
    ]


def _parameters(config: PolynomialConfig) -> int:
    return parameter_count(FAMILIES["polynomial"].build(config, Generator()))


def _parser(program: str) -> Parser:
    default = PolynomialConfig()
    parser = Parser(
        prog=program,
        description="Fit a color correction to pairs in closed form, and cross-validate it: what every network has to "
        "beat.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("spec", metavar="SPEC", help="data with pairs, such as demo or dped:DIR; `teststrip data` lists the kinds")
    add("--folds", type=int, default=5, metavar="N", help="folds of the cross-validation (default: 5)")
    add("--degree", type=int, default=default.degree, choices=(1, 2, 3), help=f"default: {default.degree}")
    add("--statistics", default=default.statistics, choices=tuple(COUNTS), help=f"default: {default.statistics}")
    add("--ridge", type=float, default=RIDGE, metavar="STRENGTH", help=f"of the penalty (default: {RIDGE:g})")
    add("--max-s", type=float, default=30.0, metavar="S", help="time latencies for about S s; 0: not (default: 30)")
    add("--cache", type=Path, metavar="DIR", help="where to keep packed data")
    return parser


if __name__ == "__main__":
    sys.exit(main())
