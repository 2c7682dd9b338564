"""Recorded curves, searched again in simulated time."""
