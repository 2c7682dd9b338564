"""Aligning two photographs of one scene. Loads torch, in processes of its own."""
