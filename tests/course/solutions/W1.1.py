"""Any program serves the check: `copy` stands in for Yosys, which is large."""

import wasilab
from wasilab import Clocks, Grants, MemDir, Random
from wasilab.course import program


def written(**more):
    dirs = {"/bench": MemDir({"a.txt": "{}"}), **more}
    grants = Grants(dirs=dirs, clocks=Clocks.nothing(), random=Random.nothing())
    return wasilab.run(program("copy"), ["/bench/a.txt", "/bench/blink.json"], grants)


def wrong():
    return written(**{"/share": MemDir()})


def right():
    return written()
