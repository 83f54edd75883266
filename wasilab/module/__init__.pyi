from . import dwarf as dwarf
from . import grow_traps as grow_traps
from . import symbols as symbols
