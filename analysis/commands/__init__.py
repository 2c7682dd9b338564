"""What `python -m analysis` can do: a file per command, with `add_options(parser)` and `run(options)` (an `Answer`)."""

COMMANDS = {
    "frontier": "show the configurations that no other one beats, with intervals",
    "images": "show what networks make of pictures: crops, errors, colors, best and worst cases, whole photographs",
    "report": "write everything a run says to one HTML file, or serve a page that follows it (--live)",
    "importance": "find which parameters mattered, with intervals and against chance",
    "stability": "find what diverges, from which learning rate on, and how much seeds decide",
    "stopping": "check whether stopping trials early was right: how well rungs predict the end, what it lost and saved",
    "ablation": "measure what each part of a configuration is worth, with and without it on the same seeds",
    "compare": "compare two runs: what differs in how they were made, and in results by more than noise",
    "fetch": "copy a run from a shared folder or an object store to a folder here; run again, it copies what is new",
    "compare-paper": "put a grid of networks beside the paper's: times, MS-SSIM, fronts",
}
"""The commands in the order of the help. `NAME` is in `analysis/commands/NAME.py`, with "_" for "-"."""
