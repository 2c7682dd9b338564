"""Reading photographs and folders of them, and converting between encoded values and linear light."""
