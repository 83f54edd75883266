from wasilab import Grants, Lab, MemDir
from wasilab.course import program


def handed_over(**given):
    made = Lab()
    made.add("keeper", program("keeper"), Grants(dirs={"/data": MemDir({"notes.txt": "one\ntwo\n"})}))
    made.add("counter", program("counter"), Grants.nothing(stdout=True))
    made.link("keeper", "counter", **given)
    with made:
        made.run("keeper")
        return made


def wrong():
    return handed_over(passing={"count_lines": 0})


def right():
    return handed_over(passing={"count_lines": 0}, rights="ro")
