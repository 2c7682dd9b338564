"""What trains: warm workers in this process or as Ray actors, and what hands them trials."""
