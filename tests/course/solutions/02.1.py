import wasilab
from wasilab import Grants, MemDir
from wasilab.course import program


def opened(path):
    return wasilab.run(program("holdings"), [path], Grants(dirs={"box": MemDir({"poem.txt": "x", "a/b.txt": "y"})}))


def wrong():
    return opened("box/../secret.txt")


def right():
    return opened("box/a/../poem.txt")
