"""Packed patches: the file they lie in, where it is kept, and how it reaches another machine."""
