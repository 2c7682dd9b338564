"""The machines of a cluster: joining them, checking them, and noticing when they go away."""
