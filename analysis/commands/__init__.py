"""What `python -m analysis` can do: a file per command, each with `add_options(parser)` and `run(options)`."""

COMMANDS = {
    "frontier": "the configurations that no other one beats, with intervals",
    "images": "what networks make of pictures: crops, errors, colors, best and worst cases, whole photographs",
    "report": "all that a run says in one HTML file, or in a page that follows it (--live)",
    "importance": "which parameters mattered, with intervals and against chance",
    "stability": "what diverges, from which learning rate on, and how much seeds decide",
    "stopping": "whether stopping trials early was right: how well rungs predict the end, what was lost and saved",
    "ablation": "what each part of a configuration is worth, with and without it on the same seeds",
    "compare": "two runs: what differs in how they were made, and in results by more than noise",
    "fetch": "copy a run from a shared folder or an object store into a folder here; again: what is new",
    "compare-paper": "a grid of networks beside the paper's: times, MS-SSIM, fronts",
}
"""The commands in the order of the help. `NAME` is in `analysis/commands/NAME.py`, with "_" for "-"."""
