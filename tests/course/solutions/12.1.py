import wasilab
from wasilab import Grants, Limits
from wasilab.course import program


def grown(limit):
    return wasilab.run(program("growth"), ["8"], Grants(limits=Limits(memory=limit)))


def wrong():
    return grown(64 << 20)


def right():
    return grown(4 << 20)
