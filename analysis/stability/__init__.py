"""What diverges, from which learning rate on, and how much seeds decide."""
