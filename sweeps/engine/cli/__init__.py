"""The command line of a sweep: options, plan, progress, summary, and the driver between them."""
