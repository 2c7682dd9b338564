"""Paths that tests use, in one place, so that moving a test breaks none of them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

GOLDEN = ROOT / "tests" / "golden"

DPED = ROOT.parent / "shared" / "data" / "dped"
"""DPED's published patches, where a machine has them beside the checkout. The tests that read them skip elsewhere."""
