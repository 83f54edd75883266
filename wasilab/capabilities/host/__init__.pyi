from . import internet as internet
from . import network as network
from . import sockets as sockets
from .copies import copydir as copydir
from .copies import plainfolder as plainfolder
from .local import channel as channel
from .local import pipes as pipes
