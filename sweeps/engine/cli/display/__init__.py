"""What a sweep shows on the terminal: its plan, its progress, and the closing summary."""
