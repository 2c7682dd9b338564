"""`python -m enhance.cost --net NAME`: measure what a network costs on this machine, compared with DPED's."""

import argparse
import re
import sys
from collections.abc import Sequence

from enhance.conditions import Conditions, Cost, condition_domains
from enhance.config import VARIANTS, ConfigError, Scalar, domains, from_flat, join_names, unknown_leaf
from enhance.config.nets import NET_CONFIGS, NetConfig
from enhance.cost import expected_s, measure, refuse
from enhance.json_output import Parser, answer_text, error_text, plain
from enhance.nets.pretrained import WeightsUnavailable

LEAVES_OF_A_NETWORK = "net."


def main(argv: Sequence[str] | None = None, program: str = "python -m enhance.cost") -> int:
    """Return the exit status: 0; 1 if the network could not be measured; 2 if the arguments are invalid.

    `program` is the name of the command in its help.
    """
    arguments = _parser(program).parse(argv)
    # With --json, standard output holds the object and nothing else.
    told = sys.stderr if arguments.json else sys.stdout
    try:
        net = network(arguments.net, arguments.set)
        # Conditions checks the ranges; argparse checks only types and choices.
        conditions = Conditions(
            width_px=arguments.size[0],
            height_px=arguments.size[1],
            device=arguments.device,
            dtype=arguments.dtype,
            memory_format=arguments.memory_format,
            compiled=arguments.compiled,
            threads=arguments.threads,
            max_s=arguments.max_s,
        )
        refuse(net, conditions)
        print(
            f"running {net.family} and the baseline at a smaller size to estimate the time ...",
            file=told,
            flush=True,
        )
        print(plan(conditions, expected_s(net, conditions)), file=told, flush=True)
    except (ConfigError, WeightsUnavailable) as error:
        if arguments.json:
            print(error_text(str(error), "config" if isinstance(error, ConfigError) else "data"))
        else:
            print(f"error: {error}", file=sys.stderr)
        return 2
    cost = measure(net, conditions)
    leaves = {"family": net.family, **plain(net)}
    print(answer_text("cost", {"net": leaves, **plain(cost)}) if arguments.json else "\n".join(table(cost)))
    return 1 if cost.failure else 0


def network(family: str, settings: Sequence[str]) -> NetConfig:
    """Build a network's configuration from settings like "net.channels=16". Raises ConfigError with every problem."""
    texts: dict[str, str] = {"net.family": family}
    problems = []
    for setting in settings:
        name, found, text = setting.partition("=")
        if not found:
            problems.append(f"--set {setting}: write NAME=VALUE, for example --set net.channels=16")
        elif name == "net.family":
            problems.append(f"--set {setting}: choose the family with --net")
        else:
            texts[name] = text
    # Its variants decide which other leaves a network has, so they are read first.
    known = domains({name: text for name, text in texts.items() if name in VARIANTS})
    values: dict[str, Scalar] = {}
    for name, text in texts.items():
        if name not in known:
            problems.append(f"--set {name}={text}: {unknown_leaf(name, known)}")
        elif not name.startswith(LEAVES_OF_A_NETWORK):
            own = [leaf for leaf in known if leaf.startswith(LEAVES_OF_A_NETWORK)]
            problems.append(f"--set {name}={text}: not a parameter of a network; choose from {join_names(own)}")
        else:
            values[name] = known[name].parse(text)
            problems += [p for p in [known[name].problem(name, values[name])] if p]
    if problems:
        raise ConfigError(problems)
    return from_flat(values).net


def plan(conditions: Conditions, expected_s: float) -> str:
    """What the measurement will do, and roughly how long it will take."""
    compiling = "; compiling takes extra time" if conditions.compiled else ""
    return (
        f"timing both in alternation: at least {conditions.min_rounds} rounds, until the ratio is known to "
        f"+-{100 * conditions.precision:g} % or {conditions.max_s:g} s have passed; "
        f"{conditions.min_rounds} rounds take roughly {expected_s:.2g} s{compiling} ..."
    )


def table(cost: Cost) -> list[str]:
    """A cost as a table, line by line."""
    asked = conditions_line(cost.conditions)
    lines = [("device", cost.device_name), ("conditions", asked), ("torch", cost.torch)]
    if cost.parameters is not None:
        lines.append(("parameters", f"{cost.parameters:,}"))
    if cost.macs is not None:
        lines.append(("GMAC", f"{cost.macs / 1e9:.4g} (convolutions and matrix products)"))
    if cost.peak_memory_bytes is not None:
        lines.append(("peak memory", f"{cost.peak_memory_bytes / 1e6:.4g} MB in a forward pass, weights not included"))
    if cost.failure:
        lines.append(("failure", cost.failure))
    else:
        interval = f"[{cost.latency_ratio_low:.4g}, {cost.latency_ratio_high:.4g}]"
        counted = f"{cost.rounds} rounds after {cost.warmup_rounds} of warm-up"
        lines += [
            ("latency", f"{cost.latency_ms:.4g} ms median, {cost.latency_p95_ms:.4g} ms p95 ({counted})"),
            ("ratio", f"{cost.latency_ratio:.4g} {interval} of the baseline's latency (95 % interval)"),
            ("baseline", f"{cost.baseline_ms:.4g} ms median: DPED's network, resnet 3/64/4"),
            ("contention", cost.contention or "none detected"),
        ]
    lines += [("load", f"{cost.load_1min:.2f} (1 min)"), ("seconds", f"{cost.spent_s:.1f}")]
    return [f"{name:<12} {text}" for name, text in lines]


def conditions_line(conditions: Conditions) -> str:
    """The conditions in one line."""
    threads = "1 thread" if conditions.threads == 1 else f"{conditions.threads} threads"
    compiled = "compiled" if conditions.compiled else "not compiled"
    size = f"{conditions.width_px}x{conditions.height_px}, one image"
    return f"{size}, {conditions.device}, {conditions.dtype}, {conditions.memory_format}, {compiled}, {threads}"


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write WIDTHxHEIGHT in px, for example 1280x720")
    return int(found[1]), int(found[2])


def _parser(program: str) -> Parser:
    known = condition_domains()
    default = Conditions()
    parser = Parser(
        prog=program,
        description="Measure what a network costs on this machine, compared with DPED's.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--net", required=True, choices=tuple(NET_CONFIGS), help="the network family")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="set a parameter, such as net.channels=16")
    add("--size", type=_size, default=(default.width_px, default.height_px), metavar="WxH", help="default: 1280x720")
    for option in ("device", "dtype", "memory_format"):
        add(f"--{option.replace('_', '-')}", choices=known[option].choices, default=getattr(default, option))
    add("--compiled", action="store_true", help="compile both networks with torch.compile")
    add("--threads", type=int, default=default.threads, help=f"torch's CPU threads (default: {default.threads})")
    add(
        "--max-s", type=float, default=default.max_s, metavar="S",
        help=f"start no new round after S seconds, once {default.min_rounds} are done (default: {default.max_s:g})",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    sys.exit(main())
