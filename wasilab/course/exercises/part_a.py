"""The exercises of part A, lessons 00 to 06."""

from __future__ import annotations

from pathlib import Path

from ...capabilities.host.hostdir import HostDir
from ...capabilities.memory.memdir import MemDir
from ...grants.grants import Grants
from ..claim import Judged
from ..claims.about_calls import at_most, makes, never
from ..claims.about_grants import refused, unrefused
from ..claims.about_output import exits, prints, writes
from ..claims.about_pairs import that
from ..entries import Exercise, Trial

_BILL = "one hundred uses so far\n"


def _shop() -> Grants:
    return Grants(dirs={"user": MemDir({"program.txt": "one\ntwo\n"}), "books": MemDir({"bill": _BILL})})


def _bill_is_kept(run: Judged) -> bool | str:
    books = run.directories["books"]
    bill = books.read_bytes("bill").decode("utf-8", "replace") if isinstance(books, MemDir) else ""
    return bill.startswith(_BILL) or f"the bill now begins with {bill[:40]!r}"


def _attack(name: str) -> Trial:
    kept = that("the bill still begins with what was owed", _bill_is_kept)
    return Trial(f"asked for {name}", (kept.hint("Who chose the name, and whose authority opened it?"),),
                args=("program.txt", name), grants=_shop)  # fmt: skip


_PLACE = {
    "place/shop/prices.txt": "nail 2\nhammer 900\n",
    "place/orders/monday": "nail 10\n",
    "place/orders/tuesday": "hammer 1\n",
    "place/orders/friday": "nail 3\nRUSH\n",
    "place/bills/": "",
    "place/log/": "",
    "diary/today.txt": "private\n",
}


def _least(world: Path) -> Grants:
    place = world / "place"
    dirs = {"shop": "ro", "orders": "ro", "bills": "rw", "log": "rw"}
    return Grants(dirs={name: HostDir(place / name, mode=mode) for name, mode in dirs.items()})  # type: ignore[arg-type]


def _order(name: str) -> Trial:
    works = exits(0).hint("Run `invoice` with this order under your policy, and read what was refused.")
    bill = makes(f"ok operation=write path=bills/{name}")
    return Trial(f"the order {name}", (works, bill), args=(name,), world=_PLACE, least=_least)


def _just_enough(run: Judged) -> bool | str:
    given = run.grants.dirs
    if set(given) - {"in", "out"}:
        return f"also granted: {', '.join(sorted(set(given) - {'in', 'out'}))}"
    if "in" in given and given["in"].writable:
        return "in is granted to write, too; it is only read"
    extra = [name for name, one in (("a clock", run.grants.clocks), ("randomness", run.grants.random))
             if one.spec != "none"]  # fmt: skip
    return not extra or f"also granted: {' and '.join(extra)}"


def _only_the_box(run: Judged) -> bool | str:
    return set(run.grants.dirs) == {"box"} or f"granted: {', '.join(sorted(run.grants.dirs)) or 'no folder'}"


def _holds(*names: str) -> Trial:
    text = "".join(f"{name}\n" for name in names)
    exact = that("it prints nothing else", lambda run: run.stdout == text or f"it prints {run.stdout[:80]!r}")
    return Trial(
        f"{len(names)} folders" if len(names) != 1 else "one folder",
        (prints(text).hint(
            "`holdings` asks each descriptor with __wasi_fd_prestat_get, until there are no more descriptors.",
            "The name is not terminated by a zero byte: its length is in the prestat."), exact),
        grants=lambda: Grants(dirs={name: MemDir() for name in names}),
    )  # fmt: skip


PART_A: tuple[Exercise, ...] = (
    Exercise(
        "00.1", "Grant just enough", minutes=4, kind="run",
        statement="Run `copy` so that it copies `in/poem.txt` to `out/copy.txt`, and grant no more than that needs.",
        starter="mine = %wasi run copy in/poem.txt out/copy.txt\n",
        claims=(
            prints("to out/copy.txt").worth(2).hint(
                "The report of the failed run names what it looked for.",
                "One folder is read, the other one is written: --dir FOLDER, --dir FOLDER:rw.",
            ),
            exits(0),
            unrefused(),
            that("nothing more is granted than it needs", _just_enough).hint(
                "What did the program never ask for? The report has a column for it.",
                "--clock none and --random none take away two things that are given by default.",
            ),
        ),
    ),
    Exercise(
        "01.1", "Find out what you hold", minutes=10,
        statement="Write a C program that prints the names of all its preopened folders, one to a line, and nothing "
        "else. It must work for any grants.",
        starter="""#include <stdio.h>
#include <wasi/api.h>

int main(void) {
    // your loop goes here
    return 0;
}
""",
        options="--dir in --dir attic::/data",
        trials=(_holds("in", "/data"), _holds("box"), _holds("a", "bb", "ccc", "a folder with a long name")),
    ),
    Exercise(
        "02.1", "One that is allowed", minutes=4, kind="run",
        statement="Find a path that has `..` in it and is allowed, with only the folder `box` granted. Let `holdings` "
        "open it.",
        starter="mine = %wasi run --dir box holdings box/poem.txt\n",
        claims=(
            makes("call=path_open ok path=*..*").worth(2).hint(
                "A path may go up as often as it went down before.", "There is a folder in the box."
            ),
            unrefused(),
            that("only the box is granted", _only_the_box),
        ),
    ),
    Exercise(
        "02.2", "The eleventh way", minutes=6,
        statement="Write the attack that is missing in the list: a hard link from `box/mine.txt` to "
        "`box/../secret.txt`, made with `link`. It must be refused.",
        starter="""#include <stdio.h>
#include <unistd.h>

int main(void) {
    // make a hard link, and say whether it worked
    return 0;
}
""",
        options="--dir box:copy",
        trials=(
            Trial("", (
                refused("path_link", by="path").worth(2).hint(
                    "link(OLD, NEW): the old name is the one that leads out.",
                    "Both paths have to begin with a folder that the program holds.",
                ),
                never("call=path_link ok"),
            ), grants=lambda: Grants(dirs={"box": MemDir({"poem.txt": "Stay inside.\n"})})),
        ),
    ),
    Exercise(
        "03.1", "Forty bytes in one write", minutes=5,
        statement="This program writes forty `x`, one call for each. Change it so that it makes at most two calls of "
        "`fd_write`, and still prints the same.",
        starter="""#include <unistd.h>

int main(void) {
    for (int i = 0; i < 40; i++)
        write(1, "x", 1);
    return 0;
}
""",
        trials=(
            Trial("", (
                exits(0),
                prints("x" * 40),
                at_most(2, "call=fd_write").worth(2).hint(
                    "One call can carry many bytes.",
                    "Who collects the bytes before the call? `stdio` does; an array can, too.",
                ),
            )),
        ),
    ),
    Exercise(
        "04.1", "A policy for three orders", minutes=10, kind="policy", program="invoice",
        statement="Write a policy under which `invoice` works for monday, tuesday and friday, and under which "
        "`holdings diary/today.txt` is refused. It must not grant more than the three orders need.",
        starter="""[dirs]
"shop" = { host = "place/shop", mode = "ro" }
""",
        trials=(
            *map(_order, ("monday", "tuesday", "friday")),
            Trial("the diary", (refused(path="diary/today.txt"),), args=("diary/today.txt",), program="holdings",
                 world=_PLACE),
        ),
    ),
    Exercise(
        "05.1", "Mend the deputy", minutes=10,
        statement="This deputy writes its result where the user says, and adds a line to the bill. Mend it so that no "
        "name reaches the bill, and an honest user still gets the result in the folder `user`.",
        starter="""#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    char path[256];
    snprintf(path, sizeof path, strchr(argv[2], '/') ? "%s" : "user/%s", argv[2]);
    FILE *to = fopen(path, "w");
    if (!to) {
        perror(path);
        return 1;
    }
    fputs("compiled\\n", to);
    fclose(to);
    FILE *bill = fopen("books/bill", "a");
    if (!bill) {
        perror("books/bill");
        return 1;
    }
    fputs("one more use\\n", bill);
    fclose(bill);
    return 0;
}
""",
        options='--dir user:rw --dir books:rw --args "program.txt result.txt"',
        trials=(
            Trial("an honest user", (
                exits(0),
                writes("user", "result.txt", "compiled"),
                writes("books", "bill", f"{_BILL}one more use").hint("An honest use is billed."),
            ), args=("program.txt", "result.txt"), grants=_shop),
            *map(_attack, ("books/bill", "../books/bill", "/books/bill", "user/../books/bill")),
        ),
    ),
    Exercise(
        "06.1", "Once", minutes=10, kind="python",
        statement="Write `once(thing)`: a capability that allows one operation `open`, and refuses every later one. "
        "Use `attenuate`.",
        starter="""def once(thing):
    return patterns.attenuate(thing, lambda operation, args: True)
""",
        claims=(
            prints("open the first: yes").hint("The first `open` is allowed."),
            prints("read the first again: yes").hint("Only `open` is counted; reading is always allowed."),
            refused("path_open", path="second").worth(2).hint(
                "The function that you give to attenuate is called for each operation, with its name.",
                "It has to remember something between its calls: a list, or `nonlocal`.",
            ),
        ),
    ),
)  # fmt: skip
