from . import after_run as after_run
from . import compiling as compiling
from . import repeats as repeats
