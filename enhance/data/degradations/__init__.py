"""What is done to good photographs so that a network can learn to undo it."""
