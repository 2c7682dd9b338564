"""What the best networks make of the same pictures."""
