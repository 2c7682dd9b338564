"""The live view of a run: a table on a terminal, elsewhere a line of progress every few seconds."""

import time
from collections import Counter
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis.ledger.schema import ENDINGS
from enhance.config import Scalar
from sweeps.engine.cli.sizing.workload import confirmation_steps, expected_steps, most_trials
from sweeps.engine.run.judge import best, higher_is_better
from sweeps.engine.run.trials import Trial
from sweeps.engine.sweep import Sweep

REFRESH_S = 0.5
LINE_S, SAME_LINE_S = 10.0, 60.0
"""Without a terminal: seconds between two lines, and between two that say the same."""

BEST = 5


def aside(console: Console, style: str = "dim") -> Callable[[str], None]:
    """A function that prints a sentence above the table: about the data, the machines, the measurements."""
    return lambda sentence: console.print(sentence, style=style, soft_wrap=True)


class Board:
    """Follows the controller's trials and draws them. A context manager: it draws while the run lasts."""

    def __init__(self, sweep: Sweep, console: Console) -> None:
        self.sweep, self.console = sweep, console
        self.trials: dict[str, Trial] = {}
        self.resumed = 0
        self._steps_before = 0
        self._started = time.monotonic()
        self._drawn = 0.0
        self._said, self._said_at = "", 0.0
        self._first_given: float | None = None
        # Without rich's own thread, which would read the trials while the controller changes them: `tick` draws.
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> "Board":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.update(self.render(), refresh=True)
            self._live.stop()

    def recall(self, trials: list[Trial]) -> None:
        """Take in the trials that ended in earlier invocations, which do not count towards the pace of this one."""
        ended = [trial for trial in trials if trial.ending]
        self.trials |= {trial.id: trial for trial in ended}
        self.resumed = len(ended)
        self._steps_before = self._steps()

    def hear(self, trial: Trial) -> None:
        """Take in a trial whose state has changed; the controller calls this."""
        self.trials[trial.id] = trial
        # The controller first tells of a trial when it gives it out.
        if self._first_given is None:
            self._first_given = time.monotonic()

    def tick(self) -> None:
        """Draw, if the last time was long enough ago."""
        now = time.monotonic()
        if now - self._drawn < (REFRESH_S if self._live else LINE_S):
            return
        self._drawn = now
        if self._live:
            self._live.update(self.render(), refresh=True)
        else:
            self._say(now)

    def _say(self, now: float) -> None:
        line = self.line()
        if line != self._said or now - self._said_at >= SAME_LINE_S:
            self._said, self._said_at = line, now
            self.console.print(f"[{self._clock()}] {line}", soft_wrap=True)

    # --- what is drawn -------------------------------------------------------------------------------------------

    def line(self) -> str:
        """Progress in one line: endings, running trials, the best score, the remaining time."""
        leaders = self._best(1)
        score = f"; best {self._score(leaders[0])}" if leaders else ""
        steps = ", ".join(str(max(trial.reports, default=0)) for trial in self._running())
        running = f"; running, last report at step {steps}" if steps else ""
        return f"{self._count()}{running}{score}; {self._remaining()}"

    def render(self) -> RenderableType:
        """Progress as a table: the best completed trials, and those that are running."""
        total = most_trials(self.sweep.budget)
        head = Text(f"{self.sweep.name}  {self._count()}  {self._remaining()}")
        # In a table, because a bar by itself ends without a line break.
        bar = Table.grid()
        bar.add_row(ProgressBar(total=total, completed=sum(self._endings().values()), width=60))
        table = Table(box=None, padding=(0, 2), show_edge=False)
        for column in ("", "trial", *self.sweep.objectives, *self.sweep.space):
            table.add_column(column.removeprefix("metric."), justify="left" if column in ("", "trial") else "right")
        for trial in self._best(BEST):
            table.add_row("best", trial.label or trial.id[:6], *self._cells(trial))
        for trial in self._running():
            step = max(trial.reports, default=0)
            table.add_row(
                Text(f"at {step}", style="dim"), trial.label or trial.id[:6], *self._cells(trial), style="dim"
            )
        return Group(head, bar, table)

    def _endings(self) -> Counter[str]:
        return Counter(trial.ending for trial in self.trials.values() if trial.ending)

    def _count(self) -> str:
        endings = self._endings()
        total = most_trials(self.sweep.budget)
        parts = [f"{endings[ending]} {ending}" for ending in ENDINGS if endings[ending]]
        again = f", {self.resumed} of them in earlier invocations" if self.resumed else ""
        return f"{sum(endings.values())} of {total} trials ended ({', '.join(parts) or 'none yet'}{again})"

    def _running(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if not trial.ending]

    def _best(self, count: int) -> list[Trial]:
        """The best completed trials of the search, by the criterion of the confirmation."""
        done = [t for t in self.trials.values() if t.ending == "completed" and t.stage == "search"]
        values = {
            number: [higher_is_better(trial.reports[max(trial.reports)], self.sweep)]
            for number, trial in enumerate(done)
        }
        return [done[number] for number in best(values, count)]

    def _score(self, trial: Trial) -> str:
        report = trial.reports[max(trial.reports)]
        return ", ".join(f"{name} {report.metrics[name]:.4g}" for name in self.sweep.objectives)

    def _cells(self, trial: Trial) -> list[str]:
        last = trial.last()
        scores = [f"{last.metrics[name]:.4g}" if last else "" for name in self.sweep.objectives]
        return scores + [_short(trial.values.get(name, "")) for name in self.sweep.space]

    def _steps(self) -> int:
        return sum(trial.steps for trial in self.trials.values())

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self._started)
        return f"{seconds // 60}:{seconds % 60:02d}"

    def _remaining(self) -> str:
        """The remaining time: the steps that trials have taken on average, early stops included, at the pace so far."""
        endings = sum(self._endings().values())
        done = self._steps() - self._steps_before
        if done == 0 or endings == self.resumed:
            return "remaining time unknown"
        budget = self.sweep.budget
        searched = [trial for trial in self.trials.values() if trial.ending and trial.stage == "search"]
        total = budget.trials * budget.seeds
        plan = (expected_steps(budget, self.sweep.stopping) - confirmation_steps(budget)) / total
        # The first trials to end are those stopped early. So the plan counts like `reduction` ended trials.
        ended_steps = sum(trial.steps for trial in searched)
        per_trial = (ended_steps + plan * budget.reduction) / (len(searched) + budget.reduction)
        confirmed = sum(max(trial.reports, default=0) for trial in self.trials.values() if trial.stage == "confirm")
        running = sum(max(t.reports, default=0) for t in self._running() if t.stage == "search")
        # The confirmation is counted exactly, since it stops nothing. `running` has partly done what is expected of it.
        left = max(0.0, per_trial * (total - len(searched)) - running) + confirmation_steps(budget) - confirmed
        # From the first trial: the time before it, in which latencies are measured, says nothing about the pace.
        began = self._started if self._first_given is None else self._first_given
        seconds = left * (time.monotonic() - began) / done
        return f"about {seconds:.0f} s left" if seconds < 120 else f"about {seconds / 60:.0f} min left"


def _short(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
