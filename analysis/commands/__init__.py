"""The commands of `python -m analysis`: a file each, with `add_options(parser)` and `run(options) -> Answer`."""

COMMANDS = {
    "frontier": "show the configurations that no other beats in all objectives, with intervals",
    "images": "show what networks do to pictures: crops, errors, colors, best and worst cases, whole photographs",
    "report": "write all answers about a run to one HTML file, or serve a page that follows it (--live)",
    "importance": "find which parameters mattered, with intervals and tests against chance",
    "stability": "find what diverges, above which learning rate, and how much depends on the seed",
    "stopping": "check early stopping: how well rungs predict final scores, and what stopping lost and saved",
    "ablation": "measure what each part of a configuration contributes, with and without it on the same seeds",
    "compare": "compare two runs: how their setups differ, and which results differ by more than noise",
    "fetch": "copy a run from a shared folder or an object store to a local folder; later calls copy what is new",
    "compare-paper": "compare a grid of networks with the paper's: times, MS-SSIM, fronts",
}
"""The commands in the order of the help. NAME is implemented in `analysis/commands/NAME.py`, with "_" for "-"."""
