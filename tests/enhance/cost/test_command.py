"""`python -m enhance.cost`."""

import pytest

from enhance.cost import macs, passes
from enhance.cost.__main__ import main, network
from enhance.nets import build, parameter_count
from tests.enhance.cost.small_networks import net


@pytest.mark.slow
def test_the_command_says_what_a_network_costs(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--net", "strided", "--set", "net.channels=4", "--size", "64x48", "--max-s", "0.1"]
    assert main([*arguments, "--memory-format", "channels_last"]) == 0
    looking, timing, *rest = capsys.readouterr().out.splitlines()
    assert looking.startswith("running strided")
    assert "at least 5 rounds" in timing
    lines = dict(line.split(maxsplit=1) for line in rest)
    assert lines["conditions"] == "64x48, one image, cpu, fp32, channels_last, not compiled, 1 thread"
    assert lines["parameters"] == f"{parameter_count(build('strided', seed=0, channels=4)):,}"
    assert lines["GMAC"].split()[0] == f"{macs(net(family='strided', channels=4), 64, 48) / 1e9:.4g}"
    assert "ms p95 (" in lines["latency"]
    assert "(95 % interval)" in lines["ratio"]
    assert {"device", "torch", "baseline", "contention", "load", "seconds"} <= set(lines)


def test_the_command_says_why_there_is_no_latency(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("enhance.cost.__main__.expected_s", lambda *_: 1.0)
    monkeypatch.setattr(passes, "apply", full)
    assert main(["--net", "resnet", "--set", "net.channels=4", "--size", "64x48"]) == 1
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[2:])
    assert lines["failure"].startswith("out of memory on this machine: MemoryError")
    assert "latency" not in lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "net.chanels=16"], "did you mean net.channels"),
        (["--set", "net.levels=3"], "it belongs to net.family=unet | nafnet (default: resnet)"),
        (["--set", "net.channels"], "write NAME=VALUE"),
        (["--set", "net.channels=many"], "must be a whole number"),
        (["--set", "net.blocks=-1"], "must be a whole number from 0 to 64"),
        (["--set", "net.family=unet"], "choose the family with --net"),
        (["--set", "optimizer.lr=1"], "not a parameter of a network; choose from net.family, net.kernel"),
        (["--threads", "0"], "threads=0 is not allowed: it must be a whole number of at least 1"),
        (["--max-s", "0"], "must be a number above 0"),
        (["--size", "0x10"], "width_px=0 is not allowed: it must be a whole number of at least 1"),
    ],
)
def test_the_command_refuses_what_does_not_exist(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--net", "resnet", *arguments]) == 2
    heard = capsys.readouterr()
    assert said in heard.err
    assert heard.out == ""


@pytest.mark.parametrize("arguments", [[], ["--net", "resnett"], ["--net", "resnet", "--size", "720p"]])
def test_the_command_refuses_mistyped_options(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_leaves_are_set_whatever_their_order() -> None:
    """A curve's base decides which leaves there are."""
    found = network("curve", ["net.levels=3", "net.base=unet", "net.degree=2"])
    assert found == net(family="curve", base="unet", levels=3, degree=2)
