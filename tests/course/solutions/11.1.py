import wasilab
from wasilab import Clocks, Grants, Random
from wasilab.course import program


def wrong():
    return wasilab.run(program("dice")), wasilab.run(program("dice"))


def right():
    grants = Grants(clocks=Clocks.stepped(1000), random=Random.seeded(7))
    return wasilab.run(program("dice"), grants=grants), wasilab.run(program("dice"), grants=grants)
