import wasilab
from wasilab import Fault, Grants, MemDir
from wasilab.course import program


def noted(fault):
    folder = MemDir({"count": "41\n", "notes.txt": "an old note\n"})
    return wasilab.run(program("notes"), ["tea"], Grants(dirs={"data": folder}, faults=[fault]))


def wrong():
    return noted(Fault("path_open", error="EIO", when=1))


def right():
    return noted(Fault("fd_write", error="EIO", when=1))
