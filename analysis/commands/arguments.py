"""What commands share of their arguments: the address of a run."""

import argparse

from analysis.ledger.location import KINDS, Location, LocationError, StoreError, locate

RUN = f"where the run lies: {KINDS}"


def run_location(text: str) -> Location:
    """An argument that names a run, or where files go. Raises argparse.ArgumentTypeError, with the reason."""
    try:
        return locate(text)
    except (LocationError, StoreError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
