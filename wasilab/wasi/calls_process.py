"""The calls about the program itself: arguments, environment, clocks, polling, exit, randomness (table only)."""

from __future__ import annotations

from . import signature as s
from .errnos import Errno as E
from .signature import Call, Param, Result

_STRINGS = """
    argc = 2, bytes = 5:     {a}[0] {a}[1]        {a}_buf
                             |u32   |u32   |      |'a' 00 |'b' 'c' 00|
                              \\      \\____________________^
                               \\____________^"""

CALLS = (
    Call(
        "args_get", "args", 0, (Param("argv", s.STRINGS),), (),
        "Copy the program's arguments, each NUL-terminated, and the array of pointers to them. The first is the "
        "program's name.",
        "reads nothing; writes 4 bytes an argument at argv, and args_sizes_get's size in bytes at argv_buf:"
        + _STRINGS.format(a="argv"),
    ),
    Call(
        "args_sizes_get", "args", 1, (), (Result("argc", s.SIZE), Result("argv_buf_size", s.SIZE)),
        "How many arguments there are and how many bytes they take, NULs included.",
        "writes u32 at result.argc and u32 at result.argv_buf_size",
    ),
    Call(
        "environ_get", "environ", 2, (Param("environ", s.STRINGS),), (),
        "Copy the environment variables, each `NAME=value` and NUL-terminated, and the array of pointers to them. "
        "The guest sees only the variables that were granted.",
        "writes 4 bytes a variable at environ, and environ_sizes_get's size in bytes at environ_buf:"
        + _STRINGS.format(a="environ"),
    ),
    Call(
        "environ_sizes_get", "environ", 3, (), (Result("environc", s.SIZE), Result("environ_buf_size", s.SIZE)),
        "How many environment variables there are and how many bytes they take, NULs included.",
        "writes u32 at result.environc and u32 at result.environ_buf_size",
    ),
    Call(
        "clock_res_get", "clock", 4, (Param("id", s.CLOCKID),), (Result("resolution", s.TIMESTAMP),),
        "The resolution of a clock in nanoseconds, as clock_getres(3).",
        "writes u64 at result.resolution",
        {
            E.INVAL: "there is no such clock",
            E.NOTCAPABLE: "the clock is not granted (strict rights)",
            E.PERM: "the clock is not granted (compat rights)",
        },
    ),
    Call(
        "clock_time_get", "clock", 5,
        (Param("id", s.CLOCKID), Param("precision", s.TIMESTAMP)), (Result("time", s.TIMESTAMP),),
        "The time of a clock in nanoseconds, as clock_gettime(3): since 1970 for the realtime clock, since an "
        "unspecified moment for the monotonic one. The precision asked for is not used.",
        "writes u64 at result.time",
        {
            E.INVAL: "there is no such clock",
            E.NOTCAPABLE: "the clock is not granted (strict rights)",
            E.PERM: "the clock is not granted (compat rights)",
            E.OVERFLOW: "the time does not fit 64 bits",
        },
    ),
    Call(
        "poll_oneoff", "poll", 37,
        (Param("in", s.SUBSCRIPTIONS), Param("out", s.EVENTS), Param("nsubscriptions", s.SIZE)),
        (Result("nevents", s.SIZE),),
        "Wait until at least one of several things happens: a time is reached, a descriptor can be read or written. "
        "A subscription that cannot be served yields an event with its error at once; the others are still served. "
        "Regular files and directories are always ready.",
        """
    reads nsubscriptions x 48 bytes at in (56 in wasi_unstable: an unused u64 before id):
        0        8     9       16      20      24       32         40     42     48
        |userdata|tag 0|       |id u32 |       |timeout |precision |flags |      |   clock, ns
        |userdata|tag 1|       |fd u32 |                                         |   fd_read (tag 2: fd_write)
    writes nevents x 32 bytes at out, u32 at result.nevents:
        0        8     10     11       16      24     26       32
        |userdata|errno|type  |        |nbytes |flags |        |""",
        {
            E.INVAL: "nsubscriptions is 0; in an event: an undefined type or flag, or a clock other than the realtime "
            "and the monotonic one",
            E.BADF: "in an event: the descriptor is not open",
            E.NOTCAPABLE: "in an event: the right poll_fd_readwrite, fd_read or fd_write is missing",
        },
    ),
    Call(
        "proc_exit", "proc", 38, (Param("rval", s.EXITCODE),), (),
        "End the program with an exit code. Does not return, and has no errno. Every code is reported as it is.",
        returns=False,
    ),
    Call(
        "proc_raise", "proc", 39, (Param("sig", s.SIGNAL),), (),
        "Send the program a signal. Signals whose action is to be ignored do nothing; the others cannot be delivered "
        "to WebAssembly.",
        "",
        {E.INVAL: "there is no such signal", E.NOTSUP: "the signal's action would be to end or stop the program"},
    ),
    Call(
        "sched_yield", "sched", 40, (), (),
        "Let other threads run.",
    ),
    Call(
        "random_get", "random", 41, (Param("buf", s.BUFFER),), (),
        "Fill a buffer with bytes of the granted random source.",
        "writes buf_len bytes at buf",
        {
            E.NOTCAPABLE: "randomness is not granted (strict rights)",
            E.PERM: "randomness is not granted (compat rights)",
        },
    ),
)  # fmt: skip
