"""Tests of the values of WASI: their numbers and their layout in memory."""

from __future__ import annotations

import errno
import io

import pytest

from wasilab.capabilities.refusal import DeniedBy, Refused
from wasilab.wasi import types as t
from wasilab.wasi.errnos import POSIX_TO_WASI


@pytest.mark.parametrize(
    ("layout", "size"),
    [
        (t.FDSTAT, 24), (t.PRESTAT, 8), (t.FILESTAT, 64), (t.FILESTAT_UNSTABLE, 56), (t.DIRENT, 24), (t.EVENT, 32),
        (t.SUBSCRIPTION, 48), (t.SUBSCRIPTION_UNSTABLE, 56),
    ],
)  # fmt: skip
def test_sizes_are_those_of_the_document(layout: object, size: int) -> None:
    assert layout.size == size  # type: ignore[attr-defined]


def test_fields_lie_where_the_document_puts_them() -> None:
    stat = t.Filestat(1, 2, t.Filetype.REGULAR_FILE, 4, 5, 6, 7, 8)
    new, old = t.FILESTAT.pack(*stat), t.FILESTAT_UNSTABLE.pack(*stat)
    assert [new[i] for i in (0, 8, 16, 24, 32, 40, 48, 56)] == [1, 2, 4, 4, 5, 6, 7, 8]
    assert [old[i] for i in (0, 8, 16, 20, 24, 32, 40, 48)] == [1, 2, 4, 4, 5, 6, 7, 8]
    assert [t.FDSTAT.pack(3, 1, 2, 4)[i] for i in (0, 2, 8, 16)] == [3, 1, 2, 4]
    assert [t.EVENT.pack(1, 8, 2, 5, 1)[i] for i in (0, 8, 10, 16, 24)] == [1, 8, 2, 5, 1]
    assert [t.DIRENT.pack(1, 2, 3, 4)[i] for i in (0, 8, 16, 20)] == [1, 2, 3, 4]


@pytest.mark.parametrize("unstable", [False, True])
def test_subscriptions_are_read_from_both_layouts(unstable: bool) -> None:
    size, at = (56, (24, 32, 40, 48)) if unstable else (48, (16, 24, 32, 40))
    raw = bytearray(2 * size)
    raw[0], raw[8] = 7, 0
    for offset, value in zip(at, (1, 50, 60, 1), strict=True):
        raw[offset] = value
    raw[size], raw[size + 8], raw[size + 16] = 9, 2, 5
    assert t.decode_subscriptions(raw, unstable=unstable) == [
        t.Subscription(7, 0, clock=1, timeout=50, precision=60, flags=1),
        t.Subscription(9, 2, fd=5),
    ]


def test_errnos_have_the_numbers_of_the_document() -> None:
    assert len(t.Errno) == 77
    assert [t.Errno(n).name for n in (1, 8, 28, 44, 63, 76)] == [
        "TOOBIG",
        "BADF",
        "INVAL",
        "NOENT",
        "PERM",
        "NOTCAPABLE",
    ]
    assert t.Errno.TOOBIG.symbol == "E2BIG"
    assert t.Errno.NOTCAPABLE.text == "Capabilities insufficient"
    assert len({member.text for member in t.Errno}) == 77


@pytest.mark.parametrize(
    ("error", "code", "denied"),
    [
        (FileNotFoundError(errno.ENOENT, ""), t.Errno.NOENT, DeniedBy.NONE),
        (PermissionError(errno.EACCES, ""), t.Errno.ACCES, DeniedBy.HOST),
        (OSError(errno.EROFS, ""), t.Errno.ROFS, DeniedBy.HOST),
        (Refused(errno.EPERM, "no", DeniedBy.PATH), t.Errno.PERM, DeniedBy.PATH),
        (Refused(errno.EPERM, "no", notcapable=True), t.Errno.NOTCAPABLE, DeniedBy.GRANT),
        (OSError(errno.EDQUOT, ""), t.Errno.DQUOT, DeniedBy.NONE),
        (OSError(errno.EOPNOTSUPP, ""), t.Errno.NOTSUP, DeniedBy.NONE),
        (OSError(99999, ""), t.Errno.IO, DeniedBy.NONE),
        (OSError("no number"), t.Errno.IO, DeniedBy.NONE),
        (io.UnsupportedOperation("write"), t.Errno.INVAL, DeniedBy.NONE),
        (ValueError(), t.Errno.INVAL, DeniedBy.NONE),
        (OverflowError(), t.Errno.INVAL, DeniedBy.NONE),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, ""), t.Errno.ILSEQ, DeniedBy.NONE),
        (MemoryError(), t.Errno.NOMEM, DeniedBy.NONE),
    ],
)
def test_errors_of_the_host_become_errnos(error: Exception, code: t.Errno, denied: DeniedBy) -> None:
    failure = t.explain(error)
    assert failure is not None
    assert (failure.errno, failure.denied_by) == (code, denied)


@pytest.mark.parametrize("error", [t.ProcExit(0), t.Trap("x"), KeyError("bug"), KeyboardInterrupt()])
def test_an_exception_that_is_not_a_failure_of_a_call_is_not_explained(error: BaseException) -> None:
    assert t.explain(error) is None


def test_every_errno_that_this_platform_names_is_mapped() -> None:
    for number, name in errno.errorcode.items():
        if hasattr(t.Errno, name[1:]):
            assert POSIX_TO_WASI[number].name == name[1:] or name in ("EDEADLOCK", "EWOULDBLOCK", "EOPNOTSUPP")
