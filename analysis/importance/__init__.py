"""Which of the searched parameters mattered."""
