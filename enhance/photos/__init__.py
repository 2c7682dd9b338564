"""A trained network over a folder of photographs: read them with everything around the pixels, enhance, write back."""
