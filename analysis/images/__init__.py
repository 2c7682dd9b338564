"""The outputs of the best networks on the same pictures."""
