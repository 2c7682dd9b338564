"""Texts in scripts that matplotlib's own font lacks: drawn in an installed font, or named once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.figure import Figure

from analysis.__main__ import main
from analysis.drawing import fonts
from analysis.drawing.fonts import choose_fonts
from analysis.drawing.sheet import save, svg_text
from tests.analysis.written_ledgers import run_row, trial_row, write_run

CHINESE = "\u8272\u5f69"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Fonts are looked up once in a process, and these tests change which there are."""
    fonts._families_for.cache_clear()
    before = list(font_manager.fontManager.ttflist)
    yield
    fonts._families_for.cache_clear()
    font_manager.fontManager.ttflist = before


def square_font(path: Path, characters: str) -> Path:
    """A font of squares for `characters`."""
    pen = TTGlyphPen(None)
    for corner, point in enumerate([(0, 0), (0, 800), (800, 800), (800, 0)]):
        (pen.lineTo if corner else pen.moveTo)(point)
    pen.closePath()
    square, names = pen.glyph(), [f"g{place}" for place in range(len(characters))]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names])
    builder.setupCharacterMap(dict(zip(map(ord, characters), names, strict=True)))
    builder.setupGlyf(dict.fromkeys([".notdef", *names], square))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names], (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


def titled(text: str) -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.5, text, fontweight="bold")
    return figure


def installed(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(path) for path in paths])


def test_characters_of_the_own_font_look_for_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: pytest.fail("looked for fonts"))
    assert choose_fonts(titled("Größe: π ≥ 3\nnoise")) == ""


def test_an_installed_font_draws_what_the_own_one_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "a.ttf"
    damaged.write_bytes(b"no font")
    installed(monkeypatch, damaged, square_font(tmp_path / "squares.ttf", CHINESE))
    figure = titled(f"{CHINESE} color")
    assert choose_fonts(figure) == ""
    assert figure.texts[0].get_fontfamily() == ["DejaVu Sans", "Squares"]
    # pytest makes an error of every warning of a missing character.
    assert all(path.stat().st_size for path in save(figure, tmp_path, "figure"))
    assert "<text" not in svg_text(figure)


@pytest.mark.slow
def test_what_no_font_has_is_named_once_and_is_text_in_the_svg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(monkeypatch)
    question = f"Which {CHINESE}?"
    rows = [trial_row(number, 20.0 + number, label=CHINESE) for number in range(3)]
    run = write_run(tmp_path / "run", rows, runs=[run_row(question=question)])
    assert main(["frontier", str(run)]) == 0
    said = capsys.readouterr().err
    assert said.count("no installed font has \u5f69 \u8272") == 1
    assert "Glyph" not in said
    assert question in (run / "analysis" / "frontier.svg").read_text()
