"""The exercises of part A, lessons 00 to 06."""

from __future__ import annotations

from pathlib import Path

from ...capabilities.host.hostdir import HostDir
from ...capabilities.memory.memdir import MemDir
from ...grants.grants import Grants
from ..claim import Judged
from ..claims.about_calls import at_most, makes
from ..claims.about_grants import refused
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


PART_A: tuple[Exercise, ...] = (
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
)  # fmt: skip
