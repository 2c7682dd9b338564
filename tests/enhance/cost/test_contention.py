"""Detecting other load on the machine while networks are timed."""

import dataclasses
from pathlib import Path

import pytest

from enhance.cost import contention
from enhance.cost.contention import Snapshot, signs_of_contention, snapshot
from enhance.system import processor

CALM = Snapshot(wall_s=0.0, own_s=0.0, busy_s=0.0, stolen_s=0.0, load_1min=0.0, clock_mhz=2600.0, cores=4)


def later(**changes: float | None) -> Snapshot:
    """Ten seconds on, of which this process has computed all on one core."""
    return dataclasses.replace(CALM, **{"wall_s": 10.0, "own_s": 10.0, "busy_s": 10.0, "load_1min": 1.0, **changes})


@pytest.mark.parametrize(
    ("changes", "times", "wanted"),
    [
        ({}, [1.0, 1.2], []),
        ({"busy_s": 13.9}, [1.0], []),
        ({"busy_s": 14.1}, [1.0], ["other processes kept 0.41 of 4 cores busy"]),
        ({"own_s": 40.0, "busy_s": 40.0}, [1.0], []),  # all of it is this process
        ({"stolen_s": 0.1}, [1.0], []),
        ({"stolen_s": 0.5}, [1.0], ["the host took 0.05 cores away"]),
        ({"load_1min": 9.0}, [1.0], []),  # CPU times say it better
        ({"busy_s": None, "load_1min": 1.9}, [1.0], []),
        ({"busy_s": None, "load_1min": 2.1}, [1.0], ["the load average was 2.10 with 1 threads in use"]),
        ({"clock_mhz": 2400.0}, [1.0], []),
        ({"clock_mhz": 1300.0}, [1.0], ["the clock went from 2600 to 1300 MHz"]),
        ({"clock_mhz": None}, [1.0], []),
        ({}, [1.0, 1.3], ["the baseline took from 1000 to 1300 ms"]),
    ],
)
def test_contention_is_noticed(changes: dict[str, float | None], times: list[float], wanted: list[str]) -> None:
    assert signs_of_contention(CALM, later(**changes), 1, times) == wanted


def test_a_load_before_the_start_counts_where_there_are_no_cpu_times() -> None:
    before = dataclasses.replace(CALM, busy_s=None, stolen_s=None, load_1min=7.0)
    assert signs_of_contention(before, later(busy_s=None, stolen_s=None), 2, [1.0]) == [
        "the load average was 7.00 with 2 threads in use"
    ]


def test_a_snapshot_reads_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = snapshot(), snapshot()
    assert other.wall_s >= one.wall_s
    assert other.own_s >= one.own_s > 0
    stat, info = tmp_path / "stat", tmp_path / "cpuinfo"
    tick = contention.os.sysconf("SC_CLK_TCK")
    stat.write_text(f"cpu  {tick} {2 * tick} {3 * tick} 7 7 {4 * tick} {5 * tick} {6 * tick} 9 9\ncpu0 1 1\n")
    info.write_text("processor\t: 0\ncpu MHz\t\t: 1200.5\nprocessor\t: 1\ncpu MHz\t\t: 2600.0\n")
    monkeypatch.setattr(contention, "STAT", stat)
    monkeypatch.setattr(processor, "CPUINFO", info)
    assert (snapshot().busy_s, snapshot().stolen_s, snapshot().clock_mhz) == (15.0, 6.0, 2600.0)
    stat.unlink()
    info.unlink()
    assert (snapshot().busy_s, snapshot().stolen_s, snapshot().clock_mhz) == (None, None, None)
