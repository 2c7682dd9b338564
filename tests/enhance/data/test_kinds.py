"""The text that names data: every kind, its sizes, and what is said about a wrong one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from enhance.data import KINDS, DataError, check_spec
from enhance.data.kinds import source_of
from enhance.data.reading.folders import format_spec

OF_PHOTOGRAPHS = ("photos", "deblur", "exposures")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    Image.new("RGB", (300, 200)).save(tmp_path / "a.png")
    return tmp_path


@pytest.mark.parametrize(
    "spec",
    ["", "dmeo", "demo:", "demo:/some", "dped", "dped:", "photos:", "deblur", "hdr", "unpaired:", "/some/folder"],
)
def test_unknown_data_is_refused_with_the_choices_and_an_example(spec: str) -> None:
    with pytest.raises(
        DataError, match=r"is not a choice; choose from demo\[@PX\], dped:DIR, .*; for example \w+"
    ) as e:
        check_spec(spec)
    assert all(kind.form in str(e.value) for kind in KINDS.values())


def test_the_example_is_of_the_kind_that_was_tried() -> None:
    with pytest.raises(DataError, match="for example unpaired:/data/iphone2dslr_flower"):
        check_spec("unpaired:")


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_told_in_a_line_and_has_an_example_of_its_form(name: str) -> None:
    kind = KINDS[name]
    assert kind.example.startswith(name)
    assert kind.form.startswith(name)
    assert "\n" not in kind.line
    assert (kind.patch_px is None) == bool(kind.fixed)
    assert ("@PX" in kind.form) == (kind.patch_px is not None)


@pytest.mark.parametrize(("size", "found"), [("", ""), ("@100", ""), ("@16", "@16"), ("@1024", "@1024")])
def test_sizes(own: Path, size: str, found: str) -> None:
    assert source_of(f"demo{size}").spec == f"demo{found}"
    assert source_of(f"deblur:demo{size}").spec == f"deblur:demo{found}"
    for kind in OF_PHOTOGRAPHS:
        assert source_of(f"{kind}:{own}{size}").spec == f"{kind}:{own}{found}"


@pytest.mark.parametrize("size", [0, 15, 1025, 10**9])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(DataError, match=f"from 16 to 1024 px, not {size}"):
        check_spec(f"exposures:demo@{size}")


def test_a_size_that_cannot_be_chosen_is_refused_with_the_reason() -> None:
    with pytest.raises(DataError, match="cannot be chosen, because DPED is published in patches of 100 px"):
        check_spec("dped:/data/dped@128")


def test_a_folder_may_be_named_like_a_size_or_like_the_demo(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a@64", "demo"):
        folder = own / name
        folder.mkdir()
        Image.new("RGB", (300, 200)).save(folder / "a.png")
    assert source_of(f"photos:{own}/a@64/").spec == f"photos:{own}/a@64/"
    assert source_of(source_of(f"photos:{own}/a@64/").spec) == source_of(f"photos:{own}/a@64/")
    assert source_of(f"photos:{own}/a@64@32").spec == f"photos:{own}/a@64/@32"
    monkeypatch.chdir(own)
    assert source_of("deblur:./demo").spec == f"deblur:{own}/demo"
    assert source_of("deblur:demo").spec == "deblur:demo"


@given(name=st.from_regex(r"/[a-z@0-9:/]{0,12}[a-z0-9@]", fullmatch=True), size=st.none() | st.integers(16, 1024))
@pytest.mark.slow
def test_what_is_spelled_is_read_back(name: str, size: int | None) -> None:
    """Read by the rule in words: only digits after the last @ are a size."""
    spec = format_spec("photos", name, size)
    place, at, digits = spec.rpartition("@")
    if not (at and digits.isdecimal()):
        place, digits = spec, ""
    assert place.removeprefix("photos:").removesuffix("/") == name.removesuffix("/")
    assert digits == ("" if size is None else str(size))
