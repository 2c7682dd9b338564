"""The packed store: what goes in comes out, and nothing damaged passes for whole."""

import multiprocessing
import os
import pickle
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enhance.data.storage.errors import DataError
from enhance.data.storage.store import ARRAYS, PatchStore, StoreError
from enhance.data.storage.store_writer import StoreWriter, write_store
from tests.patience import PATIENCE_S

SIZE_PX = 4


def patches(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 2, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


def make(path: Path, train: Iterable[np.ndarray], val: Iterable[np.ndarray], spec: str = "test") -> PatchStore:
    def pack(writer: StoreWriter) -> dict[str, object]:
        for split, pairs in (("train", train), ("val", val)):
            for image, target in pairs:
                writer.add(split, image, target)
        return {"note": "ä", "excluded": {}}

    write_store(path, spec, pack)
    return PatchStore.open(path, verify=True)


def several(seed: int, count: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, (count, *shape), dtype=dtype)


def make_unpaired(path: Path, *heaps: np.ndarray) -> PatchStore:
    def pack(writer: StoreWriter) -> dict[str, object]:
        for name, heap in zip(ARRAYS, heaps, strict=True):
            for patch in heap:
                writer.add_side(*name.split("_"), patch)
        return {}

    write_store(path, "test", pack)
    return PatchStore.open(path, verify=True)


@pytest.fixture
def store(tmp_path: Path) -> PatchStore:
    return make(tmp_path / "a.patches", patches(1, 5), patches(2, 3))


def test_gives_back_what_was_packed(store: PatchStore) -> None:
    train, val = patches(1, 5), patches(2, 3)
    assert np.array_equal(store.train_input, train[:, 0])
    assert np.array_equal(store.train_target, train[:, 1])
    assert np.array_equal(store.val_input, val[:, 0])
    assert np.array_equal(store.val_target, val[:, 1])
    assert store.spec == "test"
    assert store.summary == {"train": 5, "val": 3, "size_px": SIZE_PX, "note": "ä", "excluded": {}}


@pytest.mark.parametrize("dtypes", [(a, b) for a in ("uint8", "uint16") for b in ("uint8", "uint16")])
@pytest.mark.parametrize("shape", [(3, 5, 3), (4, 4, 3), (1, 1, 3)])
def test_each_side_has_a_dtype_of_its_own(tmp_path: Path, dtypes: tuple[str, str], shape: tuple[int, ...]) -> None:
    sides = [several(seed, count, shape, dtype) for seed, (count, dtype) in enumerate(zip((4, 4), dtypes, strict=True))]
    vals = [several(seed, 3, shape, dtype) for seed, dtype in enumerate(dtypes, 5)]
    store = make(tmp_path / "a.patches", list(zip(*sides, strict=True)), list(zip(*vals, strict=True)))
    assert store.paired
    for name, packed in zip(ARRAYS, sides + vals, strict=True):
        assert getattr(store, name).dtype == packed.dtype
        assert getattr(store, name).flags.aligned  # torch takes no others
        assert all(stride % packed.itemsize == 0 for stride in getattr(store, name).strides)
        assert np.array_equal(getattr(store, name), packed)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    counts=st.tuples(*[st.integers(1, 4)] * 4),
    dtypes=st.tuples(*[st.sampled_from(["uint8", "uint16"])] * 2),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3)),
)
def test_an_unpaired_store_gives_back_four_heaps(
    tmp_path: Path, counts: tuple[int, ...], dtypes: tuple[str, str], shape: tuple[int, ...]
) -> None:
    heaps = [several(seed, count, shape, dtypes[seed % 2]) for seed, count in enumerate(counts)]
    (tmp_path / "a.patches").unlink(missing_ok=True)
    store = make_unpaired(tmp_path / "a.patches", *heaps)
    assert not store.paired
    assert {name: store.summary[name] for name in ARRAYS} == dict(zip(ARRAYS, counts, strict=True))
    for name, heap in zip(ARRAYS, heaps, strict=True):
        assert getattr(store, name).dtype == heap.dtype
        assert getattr(store, name).flags.aligned
        assert np.array_equal(getattr(store, name), heap)
    assert np.array_equal(pickle.loads(pickle.dumps(store)).val_target, heaps[3])


def test_damage_to_an_unpaired_store_is_detected(tmp_path: Path) -> None:
    heaps = [several(seed, 2, (1, 1, 3), "uint8") for seed in range(4)]  # 6 bytes each: with padding between them
    whole = make_unpaired(tmp_path / "a.patches", *heaps).path.read_bytes()
    broken = tmp_path / "broken.patches"
    for position in range(len(whole)):
        broken.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(StoreError, match=r"broken\.patches"):
            PatchStore.open(broken, verify=True)


def test_arrays_cannot_be_written(store: PatchStore) -> None:
    assert store.train_input.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        store.train_input[0, 0, 0, 0] = 1


def test_leaves_nothing_but_the_store(store: PatchStore) -> None:
    assert os.listdir(store.path.parent) == [store.path.name]


def test_fingerprint_is_of_pixels_and_shapes_only(store: PatchStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert make(elsewhere / "b.patches", patches(1, 5), patches(2, 3), spec="other").fingerprint == store.fingerprint
    both = np.concatenate([patches(1, 5), patches(2, 3)])
    others = [make(tmp_path / f"{n}.patches", both[:n], both[n:]).fingerprint for n in (4, 6)]
    changed = patches(2, 3)
    changed[-1, -1, -1, -1, -1] ^= 1
    others.append(make(tmp_path / "c.patches", patches(1, 5), changed).fingerprint)
    wider = np.repeat(np.arange(12, dtype="<u2").reshape(1, 2, 2, 3), 2, axis=0)
    narrow = wider.view(np.uint8).reshape(2, 2, 4, 3)  # the same bytes
    others += [
        make(tmp_path / f"{pixels.dtype}.patches", [tuple(pixels)], [tuple(pixels)]).fingerprint
        for pixels in (wider, narrow)
    ]
    assert len({store.fingerprint, *others}) == 6


def test_pairs_and_heaps_of_the_same_bytes_are_told_apart(tmp_path: Path) -> None:
    heaps = [several(seed, 1, (2, 4, 3), "uint8") for seed in range(4)]  # 24 bytes each: no padding
    paired = make(tmp_path / "a.patches", [(heaps[0][0], heaps[1][0])], [(heaps[2][0], heaps[3][0])])
    unpaired = make_unpaired(tmp_path / "b.patches", *heaps)
    assert paired.path.read_bytes()[64:160] == unpaired.path.read_bytes()[64:160]
    assert paired.fingerprint != unpaired.fingerprint


def test_a_fingerprint_has_16_digits(store: PatchStore) -> None:
    assert len(store.fingerprint) == 16
    assert int(store.fingerprint, 16) >= 0


def test_pickles_as_its_path(store: PatchStore) -> None:
    pickled = pickle.dumps(store)
    assert len(pickled) < 500
    again = pickle.loads(pickled)
    assert np.array_equal(again.val_target, store.val_target)


def test_pickle_refuses_other_data_at_its_path(store: PatchStore) -> None:
    pickled = pickle.dumps(store)
    store.path.unlink()
    make(store.path, patches(3, 5), patches(2, 3))
    with pytest.raises(DataError, match=store.fingerprint):
        pickle.loads(pickled)


def _sum_in_child(store: PatchStore, queue: "multiprocessing.Queue[int]") -> None:
    queue.put(int(store.train_input.sum()))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
@pytest.mark.slow
def test_is_read_in_a_child_process(store: PatchStore, method: str) -> None:
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_sum_in_child, args=(store, queue))
    child.start()
    assert queue.get(timeout=PATIENCE_S) == int(patches(1, 5)[:, 0].sum())
    child.join()


@pytest.mark.slow
def test_every_flipped_byte_is_detected(store: PatchStore) -> None:
    whole = store.path.read_bytes()
    broken = store.path.with_name("broken.patches")
    for position in range(len(whole)):
        for bits in (0x01, 0x80):
            damaged = bytearray(whole)
            damaged[position] ^= bits
            broken.write_bytes(damaged)
            with pytest.raises(StoreError, match=r"broken\.patches"):
                PatchStore.open(broken, verify=True)


def test_every_truncation_is_detected_without_reading_the_pixels(store: PatchStore) -> None:
    whole = store.path.read_bytes()
    broken = store.path.with_name("broken.patches")
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        broken.write_bytes(whole[:length])
        with pytest.raises(StoreError):
            PatchStore.open(broken)
    broken.write_bytes(whole + b"x")
    with pytest.raises(StoreError, match=f"{len(whole) + 1} bytes and should have {len(whole)}"):
        PatchStore.open(broken)


def test_a_flipped_pixel_needs_verify(store: PatchStore) -> None:
    damaged = bytearray(store.path.read_bytes())
    damaged[100] ^= 1
    broken = store.path.with_name("broken.patches")
    broken.write_bytes(damaged)
    PatchStore.open(broken)
    with pytest.raises(StoreError, match="checksum"):
        PatchStore.open(broken, verify=True)


def test_another_version_is_named(store: PatchStore) -> None:
    for version in (1, 9):
        changed = bytearray(store.path.read_bytes())
        changed[8] = version
        store.path.with_name("new.patches").write_bytes(changed)
        with pytest.raises(StoreError, match=f"version {version}; this program reads version 2"):
            PatchStore.open(store.path.with_name("new.patches"))


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no packed data at .*absent"):
        PatchStore.open(tmp_path / "absent")
    with pytest.raises(DataError, match="cannot open"):
        PatchStore.open(tmp_path)


def test_never_overwrites(store: PatchStore) -> None:
    before = store.path.read_bytes()
    make(store.path, patches(7, 2), patches(8, 2))
    assert store.path.read_bytes() == before


def test_a_failed_packing_leaves_nothing(tmp_path: Path) -> None:
    def pack(writer: StoreWriter) -> dict[str, object]:
        writer.add("train", *patches(1, 1)[0])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(tmp_path / "a.patches", "test", pack)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("empty", range(4))
def test_an_empty_heap_is_refused(tmp_path: Path, empty: int) -> None:
    heaps = [several(seed, int(seed != empty), (2, 2, 3), "uint8") for seed in range(4)]
    with pytest.raises(DataError, match=f"test has no usable {ARRAYS[empty].replace('_', ' ')} picture"):
        make_unpaired(tmp_path / "a.patches", *heaps)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("counts", [(0, 3), (3, 0), (0, 0)])
def test_an_empty_split_is_refused(tmp_path: Path, counts: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="test has no usable"):
        make(tmp_path / "a.patches", patches(1, counts[0]), patches(2, counts[1]))
    assert os.listdir(tmp_path) == []


def test_the_writer_refuses_disorder(tmp_path: Path) -> None:
    pair = patches(1, 1)[0]
    with (tmp_path / "file").open("wb") as file:
        writer = StoreWriter(file, "test")
        writer.add("train", *pair)
        with pytest.raises(
            ValueError, match=r"target patch of shape \(3, 4, 3\) and dtype uint8 .* must be \(4, 4, 3\) uint8"
        ):
            writer.add("train", pair[0], pair[1][1:])
        with pytest.raises(ValueError, match="float"):
            writer.add("train", pair[0], pair[1].astype(float))
        with pytest.raises(ValueError, match="split='test'"):
            writer.add("test", *pair)
        writer.add("val", *pair)
        with pytest.raises(ValueError, match="train cannot follow val: the order is train, val"):
            writer.add("train", *pair)


def test_the_writer_refuses_to_mix_pairs_and_heaps(tmp_path: Path) -> None:
    image, target = patches(1, 1)[0]
    with (tmp_path / "file").open("wb") as file:
        writer = StoreWriter(file, "test")
        writer.add("train", image, target)
        with pytest.raises(ValueError, match=r"either pairs .* or two unpaired sides"):
            writer.add_side("train", "input", image)
        writer = StoreWriter(file, "test")
        writer.add_side("train", "input", image)
        with pytest.raises(ValueError, match=r"either pairs .* or two unpaired sides"):
            writer.add("train", image, target)


def test_the_writer_refuses_disorder_among_heaps(tmp_path: Path) -> None:
    image = patches(1, 1)[0, 0]
    with (tmp_path / "file").open("wb") as file:
        writer = StoreWriter(file, "test")
        writer.add_side("train", "target", image)
        with pytest.raises(ValueError, match="train_input cannot follow train_target: the order is train_input, "):
            writer.add_side("train", "input", image)
        with pytest.raises(ValueError, match=r"target patch .* uint16"):
            writer.add_side("val", "target", image.astype(np.uint16))
        with pytest.raises(ValueError, match="side='middle'"):
            writer.add_side("val", "middle", image)
