from . import known_errors as known_errors
