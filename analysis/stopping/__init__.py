"""Whether stopping trials early was right, and what it saved."""
