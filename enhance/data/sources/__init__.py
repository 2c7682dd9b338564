"""The sources of patches: one file per kind of photographs or ready-made pairs."""
