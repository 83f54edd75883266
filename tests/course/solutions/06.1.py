import wasilab
from wasilab import Grants, MemDir
from wasilab.capabilities import patterns
from wasilab.course import program


def read(shelf):
    return wasilab.run(program("reader"), [], Grants(dirs={"shelf": shelf}))


def wrong():
    return read(MemDir({"first": "abc", "second": "xyz"}))


def once(thing):
    left = [1]

    def allows(operation, args):
        if operation != "open":
            return True
        left[0] -= 1
        return left[0] >= 0

    return patterns.attenuate(thing, allows)


def right():
    return read(once(MemDir({"first": "abc", "second": "xyz"})))
