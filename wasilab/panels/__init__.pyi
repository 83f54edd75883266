from . import question as question
