"""Alignment of two photographs of one scene. Loads torch, and therefore runs in processes of its own."""
