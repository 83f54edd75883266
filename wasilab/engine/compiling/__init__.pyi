from . import bounded as bounded
