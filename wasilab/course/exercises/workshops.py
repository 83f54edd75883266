"""The exercises of the workshops, W1 to W4."""

from __future__ import annotations

from ...capabilities.memory.memdir import MemDir
from ..claim import Claim, Judged
from ..claims.about_calls import makes
from ..claims.about_output import exits, prints
from ..claims.about_pairs import that
from ..entries import Exercise


def _all_used(run: Judged) -> bool | str:
    """Whether every granted folder, and every clock, was used by a call that succeeded."""
    unused = [name for name in run.grants.dirs if not len(run.trace.filter(f"ok path={name.rstrip('/')}/*"))]
    if run.grants.clocks.spec != "none" and not len(run.trace.filter("family=clock,poll ok")):
        unused.append("the clock")
    if run.grants.random.spec != "none" and not len(run.trace.filter("family=random ok")):
        unused.append("randomness")
    return not unused or f"granted and not used: {', '.join(unused)}"


def _lost(run: Judged) -> bool | str:
    folder = run.directories.get("data")
    notes = folder.read_bytes("notes.txt").decode("utf-8", "replace") if isinstance(folder, MemDir) else ""
    return "tea" not in notes or f"the note is there: {notes!r}"


def _clipboard(first: Judged) -> tuple[Claim, ...]:
    return (
        prints("hello").worth(2).hint(
            "`show` opens the file to read, `copy` opens it to write and cuts it off first (how.truncate).",
            "The folder keeps the bytes; each open makes a new file object with a position of its own.",
        ),
        exits(0),
        that("copy could write it", lambda run: first.outcome.exit_code == 0 or first.stderr.strip()[:120]),
    )  # fmt: skip


WORKSHOPS: tuple[Exercise, ...] = (
    Exercise(
        "W1.1", "Its least grants", minutes=10, kind="run",
        statement="Run Yosys so that it still writes `/bench/blink.json`, and grant nothing that can be left out.",
        starter="mine = synthesise(folders)\n",
        claims=(
            exits(0),
            makes("ok operation=write path=/bench/blink.json").worth(2),
            that("everything that is granted is used", _all_used).hint(
                "Which files were opened? run.trace.filter('call=path_open ok') lists them.",
                "synthesise(folders, clocks=Clocks.nothing(), random=Random.nothing()) takes away what is given by "
                "default.",
            ),
        ),
    ),
    Exercise(
        "W2.1", "The weakest call", minutes=8, kind="run",
        statement="Which call of `notes`, when it fails with EIO at its first use, makes the program lose the note "
        "silently: exit status 0, and no new line in `data/notes.txt`? Write the fault.",
        starter="""mine = Fault("path_open", error="EIO", when=1)
answer = wasilab.run(program("notes"), ["tea"], Grants(dirs=fresh().dirs, faults=[mine]))
""",
        claims=(
            makes("injected"),
            exits(0),
            that("the note is lost", _lost).worth(2).hint(
                "Which call carries the note itself?",
                "fclose writes what is left in the buffer, and its result is not read.",
            ),
        ),
    ),
    Exercise(
        "W4.1", "A clipboard", minutes=15, kind="python",
        statement="Write a folder `Clipboard` with one file, `text`, that can be read and written. What one program "
        "writes, the next one reads. `writable = True` says that the folder can be changed.",
        starter="""class Clipboard(BaseDirectory):
    def __init__(self):
        self.text = b""
""",
        pair=_clipboard,
    ),
)  # fmt: skip
