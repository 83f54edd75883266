from . import memories as memories
from . import replaying as replaying
