"""The configuration of one trial; see `enhance.config.config`."""

from enhance.config.config import (
    VARIANTS,
    Config,
    added_leaves,
    canonical_json,
    digest,
    domains,
    flatten,
    from_flat,
    unknown_leaf,
    variants_with,
)
from enhance.config.conflicts import conflicts, device_conflicts
from enhance.config.domain import ConfigError, Domain, Scalar, choice, join_names, leaf

__all__ = [
    "VARIANTS",
    "Config",
    "ConfigError",
    "Domain",
    "Scalar",
    "added_leaves",
    "canonical_json",
    "choice",
    "conflicts",
    "device_conflicts",
    "digest",
    "domains",
    "flatten",
    "from_flat",
    "join_names",
    "leaf",
    "unknown_leaf",
    "variants_with",
]
