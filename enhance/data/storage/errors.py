"""The error raised throughout this package, in a module that all others can import."""


class DataError(ValueError):
    """Data that cannot be used. The message is for the user: the rule, the value, the choices."""
