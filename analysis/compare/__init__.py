"""Two runs beside each other: what differs in how they were made, and whether their results differ by more than noise.

Differences are always B less A. Nothing is compared that was not measured alike: what cannot be is refused, with the
reason.
"""
