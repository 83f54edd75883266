from . import ahead_of_time as ahead_of_time
from . import bounded as bounded
