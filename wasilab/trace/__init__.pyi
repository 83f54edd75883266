from .answers.event import CallEvent as CallEvent
from .answers.refusals import Refusals as Refusals
from .moments.history import History as History
from .moments.moment import Moment as Moment
from .trace import Trace as Trace
