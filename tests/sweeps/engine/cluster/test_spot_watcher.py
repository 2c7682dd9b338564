"""The watcher for spot interruptions, against a fake metadata service on the loopback address."""

import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from sweeps.engine.cluster import spot_watcher
from sweeps.engine.cluster.spot_watcher import AWS_NOTICE_S, GCP_NOTICE_S, SIGTERM_NOTICE_S, Metadata, Notice, watch
from tests.sweeps.engine.cluster.spot_service import Service


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with Service(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("service", "left_s"), [("aws", AWS_NOTICE_S), ("gcp", GCP_NOTICE_S)], indirect=["service"])
def test_a_notice_is_heard_and_nothing_before_it(service: Service, left_s: int) -> None:
    metadata = Metadata(service.url)
    assert metadata.notice() is None
    service.taken = True
    notice = metadata.notice()
    assert notice is not None
    assert notice[1] == left_s


@pytest.mark.parametrize("service", ["aws"], indirect=True)
@pytest.mark.parametrize(("lives_s", "left_s"), [(60.9, 50), (8, 1), (500, AWS_NOTICE_S)])
def test_the_notice_of_aws_says_how_long_is_left(
    service: Service, lives_s: float, left_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less than it says: Ray counts a node that dies before its time as a failure."""
    now = datetime(2030, 1, 1, tzinfo=UTC)

    class StoppedClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return now

    monkeypatch.setattr(spot_watcher, "datetime", StoppedClock)
    service.taken, service.until = True, now + timedelta(seconds=lives_s)
    notice = Metadata(service.url).notice()
    assert notice is not None
    assert notice[1] == left_s


@pytest.mark.parametrize("service", ["neither"], indirect=True)
def test_a_machine_without_such_a_service_is_never_taken(service: Service) -> None:
    service.taken = True
    assert Metadata(service.url).notice() is None


def test_where_nobody_answers_nothing_is_announced() -> None:
    assert Metadata("http://127.0.0.1:9").notice() is None


@pytest.mark.parametrize("service", ["aws"], indirect=True)
def test_a_notice_drains_and_what_failed_is_tried_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spot_watcher.time, "sleep", lambda seconds: None)
    tried: list[Notice] = []

    def drain(notice: Notice) -> bool:
        tried.append(notice)
        return len(tried) == 2

    def announce() -> None:
        while service.asked < 3:
            pass
        service.taken = True

    announcing = threading.Thread(target=announce)
    announcing.start()
    watch(Metadata(service.url), drain, poll_s=0.01)
    announcing.join()
    assert len(tried) == 2
    assert tried[0][0].startswith("spot notice of AWS")


@pytest.mark.parametrize("service", ["aws"], indirect=True)
def test_a_notice_that_comes_late_is_acted_upon_all_the_same(service: Service) -> None:
    service.taken, service.until = True, datetime.now(UTC)
    drained: list[Notice] = []
    watch(Metadata(service.url), lambda notice: not drained.append(notice))
    assert [left_s for _, left_s in drained] == [1]


@pytest.mark.parametrize("service", ["gcp"], indirect=True)
def test_sigterm_is_a_notice_too(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes in the middle of a pause as long as the world, which it ends."""
    sleep = spot_watcher.time.sleep

    def terminated_while_asleep(seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        sleep(seconds)

    monkeypatch.setattr(spot_watcher.time, "sleep", terminated_while_asleep)
    drained: list[Notice] = []
    watch(Metadata(service.url), lambda notice: not drained.append(notice), poll_s=1e9)
    assert [reason for reason, _ in drained] == ["SIGTERM"]
    assert drained[0][1] < SIGTERM_NOTICE_S + 1


@pytest.mark.parametrize("service", ["aws"], indirect=True)
def test_sigterm_that_the_parent_had_ignored_is_no_notice(service: Service) -> None:
    service.taken = True
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    heard: list[object] = []
    try:
        watch(Metadata(service.url), lambda notice: not heard.append(signal.getsignal(signal.SIGTERM)))
        assert heard == [signal.SIG_IGN]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_second_watcher_finds_the_first() -> None:
    with spot_watcher._only_one("teststrip-test") as first, spot_watcher._only_one("teststrip-test") as second:
        assert (first, second) == (True, False)
        with spot_watcher._only_one("teststrip-test-of-another-node") as other:
            assert other
    with spot_watcher._only_one("teststrip-test") as again:
        assert again
