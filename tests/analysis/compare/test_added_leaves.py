"""A leaf that an older ledger lacks has the value that its trials were trained with."""

import pandas as pd

from analysis.compare.pairs import _keys
from analysis.compare.setup import constant_apart
from analysis.ledger.schema import ADDED_LEAVES

OLD = pd.DataFrame({"config.net.channels": [16, 32], "config.train.ema": 0.0})
NEW = OLD.assign(**{"config.train.ema": 0.9}, **ADDED_LEAVES)  # type: ignore[arg-type]
FAST = NEW.assign(**{"config.train.tf32": True})


def test_only_another_value_than_the_implied_one_is_a_difference() -> None:
    assert constant_apart(OLD, NEW) == constant_apart(NEW, OLD) == ["train.ema"]
    assert constant_apart(OLD, FAST) == ["train.ema", "train.tf32"]


def test_configurations_pair_across_the_release_that_added_it() -> None:
    without = ["train.ema"]
    assert _keys(OLD, without).tolist() == _keys(NEW, without).tolist()
    assert not set(_keys(OLD, without)) & set(_keys(FAST, without))
    assert _keys(OLD, [*without, "train.tf32"]).tolist() == _keys(FAST, [*without, "train.tf32"]).tolist()
