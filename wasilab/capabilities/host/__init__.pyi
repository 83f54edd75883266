from . import copydir as copydir
from . import internet as internet
from . import network as network
from . import plainfolder as plainfolder
from . import sockets as sockets
