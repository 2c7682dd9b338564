"""How large a run is, what it will cost, and how large it may be."""
