from . import ask as ask
from . import questions as questions
from . import stand_ins as stand_ins
from . import switches as switches
from . import update as update
