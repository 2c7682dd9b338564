"""Configurations that train within moments."""

from collections.abc import Mapping

from enhance.config import VARIANTS, Config, Scalar, domains, from_flat


def config_of(small: Mapping[str, Scalar], **changes: Scalar) -> Config:
    """`small` with changes, which write `__` for the dot; of `small` only what the chosen parts have."""
    flat = {name.replace("__", "."): value for name, value in changes.items()}
    known = domains({name: value for name, value in {**small, **flat}.items() if name in VARIANTS})
    return from_flat({name: value for name, value in small.items() if name in known} | flat)
