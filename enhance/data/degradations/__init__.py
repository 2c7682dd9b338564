"""Degradations: what turns good photographs into the inputs that a network learns to restore."""
