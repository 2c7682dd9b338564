"""What each part of a configuration is worth, with and without it on the same seeds."""
