"""What holds for every test: a property's examples take as long as the machine needs."""

from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
