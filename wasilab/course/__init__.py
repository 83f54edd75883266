"""The course: claims about runs, exercises, and what a class needs.

A lesson checks a run like this:

    from wasilab.course import *

    mine = wasilab.run(module)
    check(mine,
        exits(0),
        prints("hello"),
        at_most(2, "call=fd_write").hint("One call can carry many bytes.", "Who collects them?").worth(2),
        never("call=path_open errno=0 path=*secret*"),
        exercise="03.1")

`check` judges all claims. It returns a `Checked`, which a notebook shows as a table, or raises `CheckFailed`, which it
shows as sentences: what does not hold, the calls that show it (with their numbers in the timeline and their source
lines), and a hint more at each attempt. `check(..., stop=False)` never raises; its `.points` and `.out_of` are floats,
which a test cell of nbgrader may have as its last line.

The claims:

    exits(0)  ends("trap" | "limit" | "interrupt")                     how it ended
    prints(text, stream="stdout")  prints_nothing()                    what it printed
    writes(guest, path, text)                                          what a granted file holds at the end
    makes(what)  never(what)  exactly(n, what)                         its calls; `what` is a filter of the trace:
    at_most(n, what)  at_least(n, what)                                "call=path_open errno!=0 path=*.txt"
    before(first, then)  only_under("/data")  closes_all()             their order, paths, descriptors
    refused(call, path, by)  unrefused()                               what was refused, by "path", "right", ...
    moves_at_most(bytes)  holds_at_most(fds)                           what it used
    memory_at_most(bytes)  fuel_at_most(instructions)                  (they need a run with that limit)
    imports_none_of("path_*")  imports_only(...)  exports(name, type)  its module
    granted_no_more_than(Grants(...))                                  what it was given
    repeats(other)  differs_only_in(other, what)                       two runs
    that("a sentence", lambda run: ...)                                anything
    ~claim   claim | claim   claim.hint("...", "...")   claim.worth(2)

`check(mine, exercise="03.1")` without claims takes those of the register (`entries.py` says what an exercise is);
`exercise("03.1")` shows it.

`check_directory(folder)` calls every operation of a folder of your own with bad values, and lists wrong answers.

`program("copy")` is a program of the lessons as a module, which needs no compiler (`prebuilt.py`); in a notebook
`%wasi program copy` shows its source and keeps it, so that `%wasi run copy FROM TO` runs it.

Nothing earns nothing. A claim that a program fulfils by doing nothing (`never`, `at_most`, `exits(0)`, `unrefused`)
is "not judged yet" until another one holds; a check of such claims alone is refused as a mistake of its author.
`that(..., needs_action=True)` promises that doing nothing does not fulfil it.
"""

from __future__ import annotations

from ..lazy import attach

_NAMES = {
    "CheckFailed": "checked:CheckFailed",
    "Checked": "checked:Checked",
    "Claim": "claim:Claim",
    "CourseError": "claim:CourseError",
    "Finding": "claim:Finding",
    "Verdict": "checked:Verdict",
    "at_least": "claims.about_calls:at_least",
    "at_most": "claims.about_calls:at_most",
    "before": "claims.about_calls:before",
    "check": "checking:check",
    "check_directory": "conformance:check_directory",
    "closes_all": "claims.about_calls:closes_all",
    "differs_only_in": "claims.about_pairs:differs_only_in",
    "exercise": "register:exercise",
    "exercise_ids": "register:exercise_ids",
    "ends": "claims.about_output:ends",
    "exactly": "claims.about_calls:exactly",
    "exits": "claims.about_output:exits",
    "exports": "claims.about_modules:exports",
    "fuel_at_most": "claims.about_grants:fuel_at_most",
    "granted_no_more_than": "claims.about_grants:granted_no_more_than",
    "holds_at_most": "claims.about_grants:holds_at_most",
    "imports_none_of": "claims.about_modules:imports_none_of",
    "imports_only": "claims.about_modules:imports_only",
    "makes": "claims.about_calls:makes",
    "memory_at_most": "claims.about_grants:memory_at_most",
    "moves_at_most": "claims.about_calls:moves_at_most",
    "never": "claims.about_calls:never",
    "only_under": "claims.about_calls:only_under",
    "program": "prebuilt:program",
    "program_names": "prebuilt:program_names",
    "prints": "claims.about_output:prints",
    "prints_nothing": "claims.about_output:prints_nothing",
    "refused": "claims.about_grants:refused",
    "repeats": "claims.about_pairs:repeats",
    "that": "claims.about_pairs:that",
    "unrefused": "claims.about_grants:unrefused",
    "writes": "claims.about_output:writes",
}
"""The public names and where each is defined."""

__all__ = sorted(_NAMES)

__getattr__ = attach(__name__, _NAMES)
