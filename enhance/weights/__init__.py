"""Trained networks in files: how they are packed, described and rebuilt."""
