from . import ask as ask
from . import ask_paths as ask_paths
from . import questions as questions
from . import stand_ins as stand_ins
from . import switches as switches
from . import update as update
