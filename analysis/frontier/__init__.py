"""Which configurations no other one beats, and how sure that is."""
