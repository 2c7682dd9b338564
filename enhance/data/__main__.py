"""`python -m enhance.data SPEC`: prepare data for training and describe it."""

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from enhance.data import KINDS, DataError, PatchStore, open_data
from enhance.data.card import card, untouched
from enhance.data.storage.store import ARRAYS, SPLITS, Patches, Pixels
from enhance.json_output import Parser, answer_text, error_text

COLUMNS, GAP_PX = 8, 4  # of the picture: pairs per split, and the gap between patches
COUNTED = ("excluded", "identical", "changed", "ignored")


def main(argv: Sequence[str] | None = None, program: str = "python -m enhance.data") -> int:
    """Return the exit status: 0, or 2 if the data cannot be prepared or the picture cannot be written.

    `program` is the name of the command in its help.
    """
    arguments = _parser(program).parse(argv)
    if arguments.spec is None:
        print(answer_text("data", {"kinds": _kind_records()}) if arguments.json else _kinds(program))
        return 0
    start_s = time.perf_counter()
    try:
        store = open_data(arguments.spec, cache=arguments.cache, progress=Progress())
        spent_s = time.perf_counter() - start_s
        if arguments.picture:
            Image.fromarray(contact_sheet(store)).save(arguments.picture, format="PNG")
    except (DataError, OSError) as error:
        if arguments.json:
            print(error_text(str(error), "data" if isinstance(error, DataError) else "system"))
        else:
            print(f"error: {error}", file=sys.stderr)
        return 2
    scores = untouched(store) if arguments.card else None
    written = card(store, scores) if arguments.card else None
    if arguments.json:
        numbers = _numbers(store, spent_s, arguments.picture)
        print(answer_text("data", {**numbers, "card": written, "untouched": scores}))
    elif written is not None:
        print(written)
    else:
        _say(store, spent_s, arguments.picture)
    return 0


def _say(store: PatchStore, spent_s: float, picture: Path | None) -> None:
    for line in description(store):
        print(line)
    print(f"{'seconds':<12} {spent_s:.1f}")
    if picture:
        print(f"{'picture':<12} {picture} (inputs over targets; training left, validation right)")
    print(f"\nnext: {_next(store)}")


def _numbers(store: PatchStore, spent_s: float, picture: Path | None) -> dict[str, object]:
    """The fields of the JSON object."""
    height_px, width_px = store.train_input.shape[1:3]
    return {
        "spec": store.spec,
        "paired": store.paired,
        "height_px": height_px,
        "width_px": width_px,
        "dtypes": {"input": store.train_input.dtype.name, "target": store.train_target.dtype.name},
        "patches": {name: len(getattr(store, name)) for name in ARRAYS},
        **{what: _by_reason(store.summary[what]) if what in store.summary else None for what in COUNTED},
        "rejected_windows": store.summary.get("rejected_windows"),
        "fingerprint": store.fingerprint,
        "file": store.path,
        "bytes": store.path.stat().st_size,
        "seconds": spent_s,
        "picture": picture,
        "next": _next(store),
    }


def _kind_records() -> list[dict[str, object]]:
    return [
        {
            "kind": name,
            "form": kind.form,
            "description": kind.line,
            "degradation": kind.degradation,
            "patch_px": kind.patch_px,
        }
        for name, kind in KINDS.items()
    ]


class Progress:
    """Prints progress on standard error: the first message, then at most one every `PAUSE_S` seconds."""

    PAUSE_S = 2.0

    def __init__(self) -> None:
        self._printed_s = float("-inf")

    def __call__(self, message: str) -> None:
        now_s = time.monotonic()
        if now_s - self._printed_s >= self.PAUSE_S:
            print(message, file=sys.stderr, flush=True)
            self._printed_s = now_s


def description(store: PatchStore) -> list[str]:
    """What a store contains, line by line."""
    height_px, width_px = store.train_input.shape[1:3]
    lines = [
        f"{'data':<12} {store.spec}",
        f"{'paired':<12} {'yes' if store.paired else 'no: inputs and targets are unrelated'}",
        f"{'patches':<12} {height_px}x{width_px} px; {_dtypes(store)}",
    ]
    lines += [f"{split:<12} {_count(store, split)}" for split in SPLITS]
    for what in COUNTED:
        # Not every source counts everything.
        if what in store.summary:
            lines += _tally_lines(what, store.summary[what])
    if "rejected_windows" in store.summary:
        windows = [f"{count} {reason}" for reason, count in store.summary["rejected_windows"].items()]
        lines.append(f"{'rejected':<12} windows: {', '.join(windows) or 'none'}")
    size_mb = store.path.stat().st_size / 1e6
    return [*lines, f"{'fingerprint':<12} {store.fingerprint}", f"{'file':<12} {store.path} ({size_mb:.1f} MB)"]


def contact_sheet(store: PatchStore) -> Pixels:
    """A uint8 RGB picture of a few evenly spaced patches of each split, inputs in the top row, targets below."""
    blocks = []
    for split in SPLITS:
        sides = [getattr(store, name) for name in ARRAYS if name.startswith(split)]
        blocks.append(np.concatenate([_row(side) for side in sides], axis=0))
    return np.concatenate([blocks[0], np.full((blocks[0].shape[0], 4 * GAP_PX, 3), 255, np.uint8), blocks[1]], axis=1)


def _row(side: Patches) -> Pixels:
    """`COLUMNS` evenly spaced patches side by side; some repeat if there are fewer."""
    chosen = np.linspace(0, len(side) - 1, COLUMNS).round().astype(int)
    white = ((0, GAP_PX), (0, GAP_PX), (0, 0))
    return np.concatenate([np.pad(_eight_bits(side[i]), white, constant_values=255) for i in chosen], axis=1)


def _eight_bits(patch: npt.NDArray[np.uint8 | np.uint16]) -> Pixels:
    return np.asarray(patch if patch.dtype == np.uint8 else np.rint(patch / 257), np.uint8)  # 65535 = 257 * 255


def _dtypes(store: PatchStore) -> str:
    return f"inputs {store.train_input.dtype.name}, targets {store.train_target.dtype.name}"


def _count(store: PatchStore, split: str) -> str:
    inputs, targets = (len(getattr(store, name)) for name in ARRAYS if name.startswith(split))
    return f"{inputs} pairs" if store.paired else f"{inputs} inputs, {targets} targets"


def _tally_lines(what: str, by_reason: dict[str, Any]) -> list[str]:
    """One line per reason."""
    lines = []
    for reason, entry in _by_reason(by_reason).items():
        if entry["count"]:
            more = ", ..." if entry["count"] > len(entry["examples"]) else ""
            lines.append(f"{what:<12} {entry['count']} {reason}: {', '.join(entry['examples'])}{more}")
    return lines or [f"{what:<12} none"]


def _by_reason(entries: dict[str, Any]) -> dict[str, Any]:
    """Count and examples by reason; a source that counts for one reason only gives its entry alone."""
    return {"pairs": entries} if "count" in entries else entries


def _next(store: PatchStore) -> str:
    sweep = "loss_weights" if store.paired else "unpaired"
    return f"python sweeps/{sweep}.py --data {shlex.quote(store.spec)}"


def _kinds(program: str) -> str:
    width = max(len(kind.form) for kind in KINDS.values())
    lines = [f"  {kind.form:<{width}}  {kind.line}" for kind in KINDS.values()]
    usual = ", ".join(f"{name} {kind.patch_px}" for name, kind in KINDS.items() if kind.patch_px)
    return "\n".join([
        "The kinds of data:",
        *lines,
        f"@PX is the patch size in px; the defaults: {usual}.",
        f"For example: {program} deblur:demo@128 --picture deblur.png",
    ])  # fmt: skip


def _png(text: str) -> Path:
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"{text!r} must end in .png")
    return Path(text)


def _parser(program: str) -> Parser:
    parser = Parser(prog=program, description="Prepare data for training and describe it.")
    parser.add_argument("spec", nargs="?", metavar="SPEC", help="the data to prepare; if omitted, list all kinds")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where to keep packed data")
    parser.add_argument("--card", action="store_true", help="print a dataset card in Markdown, with untouched scores")
    parser.add_argument("--picture", type=_png, metavar="FILE.png", help="save a picture of some pairs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
