from .answers.refusals import Refusals as Refusals
from .trace import Trace as Trace
