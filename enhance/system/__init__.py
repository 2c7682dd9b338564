"""Facts about the machine and the code behind a result. Nothing here loads torch."""
