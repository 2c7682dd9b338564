"""What carries a sweep out. Start reading at `sweep.py`, then `command.py`."""
