from . import replaying as replaying
