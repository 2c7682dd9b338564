"""What the figures of several questions share: the page, the style, the forest plot."""
