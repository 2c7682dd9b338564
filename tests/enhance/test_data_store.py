"""The packed store: what goes in comes out, and nothing damaged passes for whole."""

import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from enhance.data.errors import DataError
from enhance.data.store import PairStore, StoreError, StoreWriter, write_store

SIZE_PX = 4


def patches(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 2, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


def make(path: Path, train: np.ndarray, val: np.ndarray, spec: str = "test") -> PairStore:
    def pack(writer: StoreWriter) -> dict[str, object]:
        for split, pairs in (("train", train), ("val", val)):
            for image, target in pairs:
                writer.add(split, image, target)
        return {"note": "ä", "excluded": {}}

    write_store(path, spec, pack)
    return PairStore.open(path, verify=True)


@pytest.fixture
def store(tmp_path: Path) -> PairStore:
    return make(tmp_path / "a.pairs", patches(1, 5), patches(2, 3))


def test_gives_back_what_was_packed(store: PairStore) -> None:
    train, val = patches(1, 5), patches(2, 3)
    assert np.array_equal(store.train_input, train[:, 0])
    assert np.array_equal(store.train_target, train[:, 1])
    assert np.array_equal(store.val_input, val[:, 0])
    assert np.array_equal(store.val_target, val[:, 1])
    assert store.spec == "test"
    assert store.summary == {"train": 5, "val": 3, "size_px": SIZE_PX, "note": "ä", "excluded": {}}


def test_arrays_cannot_be_written(store: PairStore) -> None:
    assert store.train_input.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        store.train_input[0, 0, 0, 0] = 1


def test_leaves_nothing_but_the_store(store: PairStore) -> None:
    assert os.listdir(store.path.parent) == [store.path.name]


def test_fingerprint_is_of_pixels_and_shapes_only(store: PairStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert make(elsewhere / "b.pairs", patches(1, 5), patches(2, 3), spec="other").fingerprint == store.fingerprint
    both = np.concatenate([patches(1, 5), patches(2, 3)])
    others = [make(tmp_path / f"{n}.pairs", both[:n], both[n:]).fingerprint for n in (4, 6)]
    changed = patches(2, 3)
    changed[-1, -1, -1, -1, -1] ^= 1
    others.append(make(tmp_path / "c.pairs", patches(1, 5), changed).fingerprint)
    assert len({store.fingerprint, *others}) == 4
    assert len(store.fingerprint) == 16
    assert int(store.fingerprint, 16) >= 0


def test_pickles_as_its_path(store: PairStore) -> None:
    pickled = pickle.dumps(store)
    assert len(pickled) < 500
    again = pickle.loads(pickled)
    assert np.array_equal(again.val_target, store.val_target)


def test_pickle_refuses_other_data_at_its_path(store: PairStore) -> None:
    pickled = pickle.dumps(store)
    store.path.unlink()
    make(store.path, patches(3, 5), patches(2, 3))
    with pytest.raises(DataError, match=store.fingerprint):
        pickle.loads(pickled)


def _sum_in_child(store: PairStore, queue: "multiprocessing.Queue[int]") -> None:
    queue.put(int(store.train_input.sum()))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_is_read_in_a_child_process(store: PairStore, method: str) -> None:
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_sum_in_child, args=(store, queue))
    child.start()
    assert queue.get(timeout=60) == int(patches(1, 5)[:, 0].sum())
    child.join()


def test_every_flipped_byte_is_detected(store: PairStore) -> None:
    whole = store.path.read_bytes()
    broken = store.path.with_name("broken.pairs")
    for position in range(len(whole)):
        for bits in (0x01, 0x80):
            damaged = bytearray(whole)
            damaged[position] ^= bits
            broken.write_bytes(damaged)
            with pytest.raises(StoreError, match=r"broken\.pairs"):
                PairStore.open(broken, verify=True)


def test_every_truncation_is_detected_without_reading_the_pixels(store: PairStore) -> None:
    whole = store.path.read_bytes()
    broken = store.path.with_name("broken.pairs")
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        broken.write_bytes(whole[:length])
        with pytest.raises(StoreError):
            PairStore.open(broken)
    broken.write_bytes(whole + b"x")
    with pytest.raises(StoreError, match=f"{len(whole) + 1} bytes and should have {len(whole)}"):
        PairStore.open(broken)


def test_a_flipped_pixel_needs_verify(store: PairStore) -> None:
    damaged = bytearray(store.path.read_bytes())
    damaged[100] ^= 1
    broken = store.path.with_name("broken.pairs")
    broken.write_bytes(damaged)
    PairStore.open(broken)
    with pytest.raises(StoreError, match="checksum"):
        PairStore.open(broken, verify=True)


def test_another_version_is_named(store: PairStore) -> None:
    changed = bytearray(store.path.read_bytes())
    changed[8] = 9
    store.path.with_name("new.pairs").write_bytes(changed)
    with pytest.raises(StoreError, match="version 9; this program reads version 1"):
        PairStore.open(store.path.with_name("new.pairs"))


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no packed data at .*absent"):
        PairStore.open(tmp_path / "absent")
    with pytest.raises(DataError, match="cannot open"):
        PairStore.open(tmp_path)


def test_never_overwrites(store: PairStore) -> None:
    before = store.path.read_bytes()
    make(store.path, patches(7, 2), patches(8, 2))
    assert store.path.read_bytes() == before


def test_a_failed_packing_leaves_nothing(tmp_path: Path) -> None:
    def pack(writer: StoreWriter) -> dict[str, object]:
        writer.add("train", *patches(1, 1)[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(tmp_path / "a.pairs", "test", pack)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("counts", [(0, 3), (3, 0), (0, 0)])
def test_an_empty_split_is_refused(tmp_path: Path, counts: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="test gives no usable"):
        make(tmp_path / "a.pairs", patches(1, counts[0]), patches(2, counts[1]))
    assert os.listdir(tmp_path) == []


def test_the_writer_refuses_disorder(tmp_path: Path) -> None:
    pair = patches(1, 1)[0]
    with (tmp_path / "file").open("wb") as file:
        writer = StoreWriter(file, "test")
        writer.add("train", *pair)
        with pytest.raises(ValueError, match="among uint8 patches"):
            writer.add("train", pair[0], pair[1][1:])
        with pytest.raises(ValueError, match="float"):
            writer.add("train", pair[0], pair[1].astype(float))
        with pytest.raises(ValueError, match="split='test'"):
            writer.add("test", *pair)
        writer.add("val", *pair)
        with pytest.raises(ValueError, match="training pairs come first"):
            writer.add("train", *pair)
