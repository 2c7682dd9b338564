"""Tables and sentences for the terminal: frames in, rich renderables and texts out. Prints nothing."""
