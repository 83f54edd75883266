import wasilab
from wasilab import Clocks, Grants, MemDir, Random
from wasilab.capabilities.patterns import read_only
from wasilab.course import program

POEM = {"poem.txt": "Nothing is ambient:\nwhat was not granted\nis not there.\n"}


def copied(grants):
    return wasilab.run(program("copy"), ["in/poem.txt", "out/copy.txt"], grants)


def wrong():
    return copied(Grants(dirs={"in": MemDir(POEM), "out": MemDir()}))


def right():
    nothing = Grants.nothing(args=True, stdout=True, stderr=True, clocks=Clocks.nothing(), random=Random.nothing())
    return copied(nothing.with_(dirs={"in": read_only(MemDir(POEM)), "out": MemDir()}))
