"""The configuration of one trial; see `enhance.config.config`."""

from enhance.config.config import VARIANTS, Config, canonical_json, digest, flatten, from_flat, laws, unknown_leaf
from enhance.config.conflicts import conflicts
from enhance.config.law import ConfigError, Law, Scalar, choice, leaf, listed

__all__ = [
    "VARIANTS",
    "Config",
    "ConfigError",
    "Law",
    "Scalar",
    "canonical_json",
    "choice",
    "conflicts",
    "digest",
    "flatten",
    "from_flat",
    "laws",
    "leaf",
    "listed",
    "unknown_leaf",
]
