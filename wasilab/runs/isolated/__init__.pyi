from . import outside as outside
