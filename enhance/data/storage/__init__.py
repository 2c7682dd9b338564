"""Packed patches: the file format, the cache, and the transfer to other machines."""
