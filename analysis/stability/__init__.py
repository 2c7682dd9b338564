"""What diverges, from which learning rate on, and how much scores vary between seeds."""
