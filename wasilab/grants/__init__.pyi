from .advice import learn as learn
from .remedy import denied as denied
