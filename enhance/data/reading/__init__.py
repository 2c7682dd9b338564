"""Reading photographs, folders of them, and the light in their pixels."""
