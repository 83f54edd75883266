from . import component_session as component_session
from . import world as world
from .replayed import call_answers as call_answers
from .replayed import recordable as recordable
