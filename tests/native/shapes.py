"""Writes `shapes.h` for the C tests: what the calls look like, from the spec table that the engine uses too."""

from __future__ import annotations

from wasilab.engine.native.callbacks import function_state, native_name
from wasilab.engine.native.layouts import Shape
from wasilab.wasi.preview1.spec import SNAPSHOT1

ANSWERED = (
    "args_get", "args_sizes_get", "environ_get", "environ_sizes_get", "clock_res_get", "clock_time_get", "random_get",
    "sched_yield", "fd_close", "fd_fdstat_get", "fd_filestat_get", "fd_prestat_get", "fd_prestat_dir_name", "fd_read",
    "fd_write", "fd_pread", "fd_pwrite", "fd_seek", "fd_tell", "path_filestat_get", "path_open",
)  # fmt: skip
"""The calls that the library can answer by itself."""


def _braces(value: object) -> str:
    return str(int(value)) if isinstance(value, int) else f"{{{', '.join(str(int(one)) for one in value)}}}"  # type: ignore[attr-defined]


def header() -> str:
    """The text of `shapes.h`."""
    rows = []
    for name, call in SNAPSHOT1.items():
        made = function_state(0, call, 0, lambda *_: 0)
        fields = [_braces(getattr(made.shape, field)) for field, *_ in Shape._fields_ if field != "pad"]
        function = f"turbo_{native_name(call)}" if name in ANSWERED else "turbo_python"
        rows.append(
            f'  {{"{name}", {call.number}, {made.right}u, {made.params}, {made.wide}, {function}, '
            f"{{{', '.join(fields)}, {{0}}}}}},"
        )
    return (
        "static const struct { const char *name; uint64_t number, right; uint32_t params, wide;\n"
        "  void *(*function)(void *, void *, Value *, size_t); Shape shape; } SHAPES[] = {\n"
        + "\n".join(rows)
        + "\n};\n"
    )


if __name__ == "__main__":
    print(header())
