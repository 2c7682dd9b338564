"""Regular two-level fractions 2^(k-p) as sets of bits (Box and Hunter 1961).

Bit b of a run's number is the level of basic factor b. A column is the set of basic factors whose product it is, as the
bits of a whole number; since squares vanish, the product of columns is their sum modulo 2.
"""

import itertools
from collections.abc import Iterable, Sequence


def short_product(columns: Iterable[int], wanted: int) -> int | None:
    """The length of the shortest product of columns that is constant, None where all are of `wanted` ones or more."""
    values = list(columns)
    products = ((length, some) for length in range(1, wanted) for some in itertools.combinations(values, length))
    return next((length for length, some in products if _product(some) == 0), None)


def _product(columns: Iterable[int]) -> int:
    """The column that is the product of `columns`: squares vanish, so sets of factors are added modulo 2."""
    total = 0
    for column in columns:
        total ^= column
    return total


def sign(run: int, column: int) -> int:
    """The level (0 or 1) in `run` of a product of basic factors whose levels are the bits of `run`."""
    odd = (run & column).bit_count() % 2
    return odd if column.bit_count() % 2 else 1 - odd


def find_columns(count: int, wanted: int) -> list[int]:
    """`count` columns, of which no fewer than `wanted` have a constant product, over as few basic factors as suffice.

    The basic factors come first, then every column that fits in the order of their numbers (a linear lexicode).
    """
    tried = (_first_that_fit(basic, count, wanted) for basic in range(1, count + 1))
    return next(columns for columns in tried if len(columns) == count)


def _first_that_fit(basic: int, count: int, wanted: int) -> list[int]:
    taken = [1 << bit for bit in range(basic)]
    forbidden = _products(taken, wanted - 2)
    for column in range(1, 1 << basic):
        if len(taken) == count:
            break
        if column not in forbidden:
            taken.append(column)
            forbidden = _products(taken, wanted - 2)
    return taken


def _products(columns: Sequence[int], most: int) -> set[int]:
    """The products of up to `most` of the columns."""
    return {_product(some) for length in range(most + 1) for some in itertools.combinations(columns, length)}
