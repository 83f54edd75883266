from . import known_errors as known_errors
from .line import terminal_questions as terminal_questions
