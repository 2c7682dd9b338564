"""A dataset card: one page of Markdown that says what packed data contain and how far apart their two sides are."""

from typing import Any

import numpy as np

from enhance.data.storage.store import SPLITS, Patches, PatchStore

MAX_MEASURED = 500  # patches, evenly spaced
RESAMPLES = 2000
METRICS = {"psnr_db": "PSNR (dB)", "ssim": "SSIM", "ms_ssim": "MS-SSIM"}
COUNTED = {"excluded": "Left out", "ignored": "Ignored", "identical": "Identical pairs", "changed": "Changed"}

Score = dict[str, Any]


def untouched(store: PatchStore, seed: int = 0) -> list[Score] | None:
    """How well the inputs of validation pairs match their targets as they are, by metric; None for unpaired data.

    Each record has metric, mean, low and high (95 %, percentile bootstrap over patches) and n, the patches measured;
    the ends are None for a single patch.
    """
    if not store.paired:
        return None
    # torch is loaded only where something is measured.
    import torch

    from enhance.training.metrics import evaluate

    count = len(store.val_input)
    chosen = np.linspace(0, count - 1, min(count, MAX_MEASURED)).round().astype(int)
    sides = [np.stack([side[i] for i in chosen]) for side in (store.val_input, store.val_target)]
    found = evaluate(*(torch.from_numpy(_unit(side)).permute(0, 3, 1, 2) for side in sides))
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(chosen), (RESAMPLES, len(chosen)))
    scores = []
    for metric in METRICS:
        values = found[metric].numpy()
        ends: list[float | None] = [None, None]
        if len(values) > 1:
            ends = np.quantile(values[draws].mean(axis=1), (0.025, 0.975)).tolist()
        mean = float(values.mean())
        scores.append({"metric": metric, "mean": mean, "low": ends[0], "high": ends[1], "n": len(values)})
    return scores


def card(store: PatchStore, scores: list[Score] | None) -> str:
    """The card of a store; `scores` are those of `untouched`."""
    lines = [f"# {_code(store.spec)}", "", *_contents(store), "", "## Left out and changed", "", *_counts(store)]
    lines += ["", "## Untouched", ""]
    if scores is None:
        return "\n".join([*lines, "Inputs and targets are unrelated, so that no metric compares them."])
    lines += ["| metric | mean | 95 % interval |", "|---|---|---|"]
    for score in scores:
        ends = "not known from one patch" if score["low"] is None else f"{score['low']:.4g} to {score['high']:.4g}"
        lines.append(f"| {METRICS[score['metric']]} | {score['mean']:.4g} | {ends} |")
    return "\n".join([
        *lines,
        "",
        f"Inputs compared with their targets as they are: {scores[0]['n']} of {len(store.val_input)} validation pairs, "
        "evenly spaced. The interval is a bootstrap over patches; patches of one picture resemble each other, so the "
        "interval over pictures is wider.",
    ])  # fmt: skip


def _contents(store: PatchStore) -> list[str]:
    height_px, width_px = store.train_input.shape[1:3]
    rows = {"size of a patch": f"{width_px}x{height_px} px"}
    rows["bit depth"] = ", ".join(
        f"{side} {8 * getattr(store, f'train_{side}').dtype.itemsize}" for side in ("input", "target")
    )
    for split in SPLITS:
        inputs, targets = (len(getattr(store, f"{split}_{side}")) for side in ("input", "target"))
        rows[split] = f"{inputs} pairs" if store.paired else f"{inputs} inputs, {targets} targets"
    pictures = store.summary.get("photographs", {})
    if pictures:
        rows["pictures"] = ", ".join(f"{what}: {count}" for what, count in pictures.items())
    rows["fingerprint"] = _code(store.fingerprint)
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]


def _counts(store: PatchStore) -> list[str]:
    """A line per reason, color conversions and rounded bit depths among them."""
    lines = []
    for what, title in COUNTED.items():
        entries = store.summary.get(what, {})
        for reason, entry in ({"identical": entries} if "count" in entries else entries).items():
            if entry["count"]:
                examples = ", ".join(map(_code, entry["examples"]))
                lines.append(f"- {title}: {entry['count']}, {reason}: {examples}")
    rejected = store.summary.get("rejected_windows", {})
    lines += [f"- Rejected windows: {count}, {reason}" for reason, count in rejected.items()]
    return lines or ["Nothing."]


def _code(text: str) -> str:
    # A line break or a backtick in a file's name must not end the code.
    return "`" + text.replace("`", "'").replace("\n", " ") + "`"


def _unit(side: Patches) -> np.ndarray:
    return side.astype(np.float32) / np.iinfo(side.dtype).max
