"""Where patches come from: one file for each source of photographs or of finished pairs."""
