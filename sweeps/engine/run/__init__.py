"""What happens to the trials of a run: who is next, who goes on, and what is recorded."""
