"""A packed store that comes from another machine: whole, the one announced, fetched once, a chunk at a time."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from enhance.data import DataError, PatchStore, open_data
from enhance.data.storage import delivery
from enhance.data.storage.delivery import StoreTransfer, open_delivered


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    return open_data("demo", cache=tmp_path_factory.mktemp("maker"))


@pytest.fixture
def far(made: PatchStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreTransfer:
    """The store as another machine knows it, which does not see the maker's path."""
    monkeypatch.setattr(delivery, "CHUNK_BYTES", 1 << 20)
    return replace(StoreTransfer.of(made), path=tmp_path / "elsewhere" / made.path.name)


def chunks_of(made: PatchStore, asked: list[int]) -> Callable[[int], bytes]:
    def fetch(index: int) -> bytes:
        asked.append(index)
        return StoreTransfer.of(made).chunk(index)

    return fetch


@pytest.mark.slow
def test_it_arrives_whole_once_whoever_asks_at_the_same_time(
    made: PatchStore, far: StoreTransfer, tmp_path: Path
) -> None:
    asked: list[int] = []
    fetch = chunks_of(made, asked)
    with ThreadPoolExecutor(3) as pool:
        stores = list(pool.map(lambda _: open_delivered(far, fetch, cache=tmp_path), range(3)))
    assert asked == list(range(far.chunks))
    assert far.chunks > 3
    for store in stores:
        assert store.fingerprint == made.fingerprint
        assert np.array_equal(store.train_input, made.train_input)
    assert stores[0].path.read_bytes() == made.path.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".{made.path.name}.lock", made.path.name]


@pytest.mark.slow
def test_nothing_is_sent_to_who_sees_the_makers_file(made: PatchStore, tmp_path: Path) -> None:
    assert open_delivered(StoreTransfer.of(made), chunks_of(made, []), cache=tmp_path).path == made.path
    assert list(tmp_path.iterdir()) == []


def test_what_is_damaged_is_replaced_when_looked_at_closely(
    made: PatchStore, far: StoreTransfer, tmp_path: Path
) -> None:
    own = tmp_path / made.path.name
    shutil.copy(made.path, own)
    content = bytearray(own.read_bytes())
    content[len(content) // 2] ^= 1
    own.write_bytes(content)
    asked: list[int] = []
    open_delivered(far, chunks_of(made, asked), cache=tmp_path, verify=True)
    assert len(asked) == far.chunks
    assert own.read_bytes() == made.path.read_bytes()


def test_what_arrives_damaged_is_refused_and_leaves_nothing(
    made: PatchStore, far: StoreTransfer, tmp_path: Path
) -> None:
    def spoiled(index: int) -> bytes:
        chunk = bytearray(StoreTransfer.of(made).chunk(index))
        chunk[len(chunk) // 2] ^= 1
        return bytes(chunk)

    with pytest.raises(DataError, match="damaged"):
        open_delivered(far, spoiled, cache=tmp_path)
    assert not list(tmp_path.glob("*.patches"))
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_full_disk_and_a_name_that_leads_elsewhere_are_refused(
    made: PatchStore, far: StoreTransfer, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"MiB are needed, .* MiB are free"):
        open_delivered(replace(far, size_bytes=1 << 60), chunks_of(made, []), cache=tmp_path)
    with pytest.raises(DataError, match="not a name of packed data"):
        open_delivered(replace(far, path=Path("/x/..")), chunks_of(made, []), cache=tmp_path)
