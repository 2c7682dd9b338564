"""Where the tests find things: one place, so that a test that moves to another folder takes nothing wrong with it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

GOLDEN = ROOT / "tests" / "golden"

DPED = ROOT.parent / "shared" / "data" / "dped"
"""DPED's published patches, where a machine has them beside the checkout. The tests that read them skip elsewhere."""
