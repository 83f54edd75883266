from . import dwarf as dwarf
from . import symbols as symbols
