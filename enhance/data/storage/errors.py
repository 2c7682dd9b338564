"""The one error of this package, importable by all its modules."""


class DataError(ValueError):
    """Data that cannot be used. The message is for the user: the rule, the value, the choices."""
