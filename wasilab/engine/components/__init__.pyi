from . import world as world
