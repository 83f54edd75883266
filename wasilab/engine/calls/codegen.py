"""The source of one trampoline per WASI call, written from the spec table as `dataclasses` writes `__init__`.

A trampoline is what the guest calls: it reads the raw arguments, checks and decodes them as the table says, calls the
semantic function (`wasi/`), writes the results into the guest's memory and records the call. Deciding all that at
every call would cost more than the call; deciding it once, in text, leaves straight-line code. `source()` returns the
text, so that it can be read, and a traceback through a trampoline shows it.

A trampoline comes in variants: `raw` (a callback of the C API over an array of 16-byte slots) or public (Python
integers through wasmtime-py), traced or not, with the guest's stack or not, the call overridden or not, callable by
other instances or not. Both interfaces share every line but the first and the last ones.

The names it finds in its globals (see `link.py`): `now` the clock, `M` the `GuestMemory`, `CALLER(c)` access to it for
the slow path, `FD` the lookup of descriptors, `CHECK(descriptor, right)`, `H` the host, `S_name` the semantic function,
`REC` the recorder, `SNAP` and `IO` the byte limits, `FAIL` for every exception, `TRAP()` or
`STOP` to end the guest, `STACK(c)` the guest's stack as a number.
"""

from __future__ import annotations

import linecache
from functools import cache
from types import CodeType

from ...wasi.preview1.signature import Call, Param, Result
from ...wasi.preview1.spec import MODULES
from .record_lines import RecordLines, Variant


class _Trampoline(RecordLines):
    """Writes one function; each method adds the lines of one step."""

    # ---- the text

    def text(self) -> str:
        call, put = self.call, self.put
        slots = [word for _, word in call.words]
        if self.variant.raw:
            put(0, f"def {call.name}(env, c, v, n):")
        else:
            put(0, f"def {call.name}({', '.join(['c', *(f'p{i}' for i in range(len(slots)))])}):")
        if self.variant.traced:
            put(1, "t0 = now()")
        put(1, "d0 = s0 = None")
        values = self._unpack(slots)
        put(1, "try:")
        if self.variant.foreign:
            put(2, "M.forget()")
        self._parameters(values)
        self._result_pointers(values)
        self._body(values)
        if self.variant.traced:
            put(2, "t1 = now()")
            self._record()
        if not call.returns:
            put(2, "raise NORETURN")
        elif self.variant.raw:
            put(2, "v[0] = 0", "return 0")
        else:
            put(2, "return 0")
        put(1, "except BaseException as error:")
        start = "t0" if self.variant.traced else "0"
        words = ", ".join(self.words) + ("," if self.words else "")
        put(2, f"code = FAIL(error, CALL_{self._id}, c, {start}, d0, s0, ({words}))")
        if self.variant.raw:
            put(2, "if code < 0:", "    return TRAP()", *(["v[0] = code"] if call.returns else []), "return 0")
        else:
            put(2, "if code < 0:", "    raise STOP", "return code" if call.returns else "return None")
        return "\n".join(self.lines) + "\n"

    def _unpack(self, slots: list[str]) -> list[str]:
        """Read the core arguments into 32-bit words `w...`; return an expression for each argument's value."""
        values = []
        for slot, kind in enumerate(slots):
            word = len(self.words)
            low, high = f"w{word}", f"w{word + 1}"
            if kind == "i32":
                self.put(1, f"{low} = v[{4 * slot}]" if self.variant.raw else f"{low} = p{slot} & 0xffffffff")
                self.words.append(low)
                values.append(low)
                continue
            if self.variant.raw:
                self.put(1, f"{low} = v[{4 * slot}]; {high} = v[{4 * slot + 1}]")
            else:
                self.put(1, f"{low} = p{slot} & 0xffffffff; {high} = p{slot} >> 32 & 0xffffffff")
            self.words += [low, high]
            values.append(f"({low} | {high} << 32)")
        return values

    def _parameters(self, values: list[str]) -> None:
        slot = 0
        for param in self.call.params:
            count = len(param.type.words)
            getattr(self, f"_take_{param.type.kind}")(param, *values[slot : slot + count])
            slot += count

    # ---- one method for each kind of parameter

    def _take_fd(self, param: Param, word: str) -> None:
        name = "d0" if self.first_fd is None else "d1"
        self.first_fd = self.first_fd or name
        put = self.put
        put(2, f"{name} = FD({word})", f"if {name} is None:", f"    raise BADF({word})")
        right = int(param.right)
        if right:
            put(2, f"if {right} & ~{name}.allowed:", f"    CHECK({name}, {right})")
        self.arguments.append(name)

    def _take_scalar(self, param: Param, value: str) -> None:
        name = f"a{len(self.arguments)}"
        if param not in self.call.arguments:
            return
        if value.startswith("("):
            self.put(2, f"{name} = {value[1:-1]}")
            if param.type.signed:
                self.put(2, f"if {name} >= 0x8000000000000000:", f"    {name} -= 0x10000000000000000")
            self.arguments.append(name)
        else:
            self.arguments.append(value)

    def _take_string(self, param: Param, pointer: str, length: str) -> None:
        name = f"s{len(self.paths)}"
        what = param.name
        self.put(
            2,
            f"if {length} > 4096 or {pointer} + {length} > M.size:",
            f"    {name} = M.string(CALLER(c), {pointer}, {length}, {self.call.name!r}, {what!r})",
            "else:",
            f"    {name} = M.view[{pointer}:{pointer} + {length}].tobytes()",
        )
        self.paths.append(name)
        self.arguments.append(name)

    def _take_iovecs(self, param: Param, pointer: str, count: str) -> None:
        self.iovecs = count
        self.arguments.append("b")
        # One buffer is the usual case: `p` and `l` are its pointer and length, and `b` stays None if it is not usual.
        self.put(
            2,
            "b = None",
            f"if {count} == 1 and not {pointer} & 3 and {pointer} + 8 <= M.size:",
            f"    i = {pointer} >> 2; p = M.u32[i]; l = M.u32[i + 1]",
            "    if 0 < l <= IO and p + l <= M.size:",
            "        o = M.view[p:p + l]; b = [o]",
            "if b is None:",
            f"    b = M.iovecs(CALLER(c), {pointer}, {count}, IO, {self.call.name!r}, {param.name!r}); o = None",
        )
        if self.variant.traced:
            self.put(2, f"    x = M.view[{pointer}:{pointer} + ({count} << 3)].tobytes()")

    _take_ciovecs = _take_iovecs

    def _take_outbuf(self, param: Param, pointer: str, length: str) -> None:
        what = param.name
        self._check(pointer, length, 1, what)
        self.put(2, f"b = M.view[{pointer}:{pointer} + {length}]")
        self.outbuf = length
        self.arguments.append("b")

    def _take_outstrings(self, param: Param, array: str, buffer: str) -> None:
        self.deferred.append(f"y = M.put_strings(CALLER(c), {array}, {buffer}, r, {self.call.name!r})")
        self.deferred.append("r = 0")

    def _take_insubs(self, param: Param, pointer: str) -> None:
        size = 56 if self.unstable else 48
        self.put(
            2,
            f"x = M.subscriptions(CALLER(c), {pointer}, {self._count(param)}, {size}, {self.call.name!r})",
            f"subs = SUBS(x, unstable={self.unstable})",
        )
        self.arguments.append("subs")

    def _take_outevents(self, param: Param, pointer: str) -> None:
        count = self._count(param)
        self._check(pointer, f"({count} << 5)", 8, param.name)
        self.deferred += [
            "y = EVENTS(r)",
            "r = len(r)",
            f"if r > {count}:",
            "    raise TOOMANY",
            f"M.view[{pointer}:{pointer} + len(y)] = y",
        ]

    def _count(self, array: Param) -> str:
        """The word that holds the number of entries of an array."""
        return f"w{[name for name, _ in self.call.words].index(array.type.count)}"

    # ---- results

    def _check(self, pointer: str, size: str | int, align: int, what: str) -> None:
        misaligned = f"{pointer} & {align - 1} or " if align > 1 else ""
        self.put(
            2,
            f"if {misaligned}{pointer} + {size} > M.size:",
            f"    M.check(CALLER(c), {pointer}, {size}, {align}, {self.call.name!r}, {what!r})",
        )

    def _result_pointers(self, values: list[str]) -> None:
        """Check them before anything is done, so that a bad one leaks no descriptor and moves no byte."""
        for result, pointer in self._results(values):
            self._check(pointer, result.type.size, result.type.align, f"result.{result.name}")

    def _results(self, values: list[str]) -> list[tuple[Result, str]]:
        results = self.call.results
        return list(zip(results, values[len(values) - len(results) :], strict=True))

    def _body(self, values: list[str]) -> None:
        put = self.put
        arguments = ", ".join(["H", *self.arguments])
        invoked = f"S_{self._id}({arguments})"
        results = self._results(values)
        if not results and not self.deferred:
            put(2, invoked)
        elif len(results) == 2:
            put(2, f"r, r2 = {invoked}")
        else:
            put(2, f"r = {invoked}")
        put(2, *self.deferred)
        for name, (result, pointer) in zip(("r", "r2"), results, strict=False):
            type_ = result.type
            if type_.record:
                put(2, f"PACK_{type_.name}{'_0' if self.unstable else ''}(M.view, {pointer}, *{name})")
            elif type_.size == 4:
                put(2, f"M.u32[{pointer} >> 2] = {name}")
            elif type_.size == 8:
                put(2, f"M.u64[{pointer} >> 3] = {name}")
            else:
                put(2, f"PACK_U16(M.view, {pointer}, {name})")


def source(call: Call, variant: Variant) -> str:
    """The Python text of the trampoline of `call`."""
    return _Trampoline(call, variant).text()


@cache
def _compiled(module: str, name: str, variant: Variant) -> CodeType:
    text = source(MODULES[module][name], variant)
    label = f"<wasilab trampoline {module}.{name} {variant}>"
    linecache.cache[label] = (len(text), None, text.splitlines(True), label)
    namespace = compile(text, label, "exec")
    found = next(constant for constant in namespace.co_consts if isinstance(constant, CodeType))
    return found


def code(call: Call, variant: Variant) -> CodeType:
    """The compiled trampoline, to be bound to a namespace with `types.FunctionType`."""
    return _compiled(call.module, call.name, variant)
