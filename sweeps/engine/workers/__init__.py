"""Workers that train, in this process or as Ray actors, and the runners that hand them trials."""
