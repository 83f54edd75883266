from . import code_folders as code_folders
from .advice import compare as compare
from .advice import learn as learn
from .remedy import denied as denied
