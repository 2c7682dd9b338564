"""Compare two runs: how their setups differ, and whether their results differ by more than noise.

Differences are always B minus A. What was not measured in the same way is not compared: it is refused, with the reason.
"""
