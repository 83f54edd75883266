"""Generates the source of one trampoline per WASI call from the spec table, as `dataclasses` generates `__init__`.

A trampoline is what the guest calls. It reads the raw arguments, checks and decodes them as the table says, calls the
semantic function (`wasi/`), stores the results in the guest's memory and records the call. Interpreting the table at
every call would cost more than the call itself; generated code is straight-line. `source()` returns that code, and
tracebacks show it.

`Variant` lists the ways to build a trampoline. They differ only in the first and last lines.

The lines that record a call are in `record_lines.py`. The values of the upper-case names are in `Link`.
"""

from __future__ import annotations

import builtins
import keyword
import linecache
from types import CodeType

from ...trace.record.payload import schema
from ...wasi.preview1 import signature as sig
from ...wasi.preview1.signature import Call, Param
from ...wasi.types import Rights
from .memory import MAX_PATH, MAX_SUBSCRIPTIONS
from .record_lines import LOCALS as RECORD_LOCALS
from .record_lines import record_lines
from .trampoline import Locals, SourceText, Variant, identifier

ENDS_GUEST = 256
"""Returned to the native library by a trampoline when the guest must end."""
_NUMBERS = (sig.SCALAR, sig.FD)
"""Parameter kinds that are numbers; the first word of any other kind is a pointer."""
_LOCALS = {
    "env", "caller", "slots", "count", "started", "ended", "descriptor", "other_descriptor", "buffer", "buffers",
    "pointer", "length", "vectors", "asked", "subscriptions", "strings", "events", "data", "error", "errno", "i",
    *RECORD_LOCALS,
}  # fmt: skip
"""Locals that the generated code uses itself; an argument of the same name gets an underscore."""


class _Trampoline:
    """Writes one function; each method adds the lines of one step."""

    def __init__(self, call: Call, variant: Variant) -> None:
        self.call = call
        self.variant = variant
        self.text = SourceText()
        self.locals = Locals()
        self.id = identifier(call)
        self.returned: str | None = None
        """The local that holds the semantic function's return value, for a call that does not store it as plain
        results."""
        self.storing: list[str] = []
        """Lines after the semantic call that encode `returned` and store it."""

    def write(self) -> str:
        call, add, raw = self.call, self.text.add, self.variant.raw
        names = self._word_names()
        add(0, f"def {call.name}({', '.join(['env', 'caller', 'slots', 'count'] if raw else ['caller', *names])}):")
        if self.variant.traced:
            add(1, "started = now()")
        starts = len(self.text.lines)
        values = self._unpack(names)
        add(1, "try:")
        if self.variant.foreign:
            add(2, "MEMORY.forget()")
        self._decode(values)
        self._check_result_pointers(values)
        self._perform()
        if self.variant.traced:
            add(2, "ended = now()")
            record_lines(self.text, call, self.variant, self.locals)
        if self.variant.native:
            self._tell_library()
        if not call.returns:
            add(2, "raise NORETURN")
        elif raw:
            add(2, "slots[0] = 0", "return 0")
        else:
            add(2, "return 0")
        first = self._first_path()
        # A call that fails before they are known is recorded without them.
        unknown = [name for name in (self.locals.descriptor, first) if name is not None]
        if unknown:
            self.text.lines.insert(starts, f"    {' = '.join(unknown)} = None")
        self._fail(first)
        return str(self.text)

    def _fail(self, first: str | None) -> None:
        add, raw = self.text.add, self.variant.raw
        words = ", ".join(self.locals.words) + ("," if len(self.locals.words) == 1 else "")
        start = "started" if self.variant.traced else "0"
        add(1, "except BaseException as error:")
        flags = f", OVERRIDE_{self.id}.flags" if self.variant.overridden else ""
        known = f"{self.locals.descriptor}, {first}, ({words}){flags}"
        add(2, f"errno = FAIL(error, CALL_{self.id}, caller, {start}, {known})")
        if self.variant.native:
            add(2, f"return errno if errno >= 0 else {ENDS_GUEST}")
            return
        add(2, "if errno < 0:", "    return TRAP()" if raw else "    raise STOP")
        if raw:
            add(2, *(["slots[0] = errno"] if self.call.returns else []), "return 0")
        else:
            add(2, "return errno" if self.call.returns else "return None")

    def _tell_library(self) -> None:
        """Pass the library the parts of its record that it cannot read from the guest's memory, and how a file was
        opened: it opens the next one itself."""
        if self.variant.overridden:
            self.text.add(2, f"NATIVE.flags = OVERRIDE_{self.id}.flags")
        elif self.call.name == "path_open":
            directory, dirflags, _, *others = self.locals.arguments
            arguments = ", ".join([directory, self.locals.results[0][0], dirflags, *others])
            self.text.add(2, f"if {directory}.life in FOLDERS:", f"    LEARN({arguments})")
        if self.variant.stacks:
            self.text.add(2, "NATIVE.stack = STACK(caller)")
        if len(self.locals.results) == 2:
            self.text.add(2, f"NATIVE.result = {self.locals.results[0][0]}")
        if self.returned == "strings":
            self.text.add(2, "NATIVE.extent = len(data)")

    def _first_path(self) -> str | None:
        return self.locals.paths[0] if self.locals.paths else None

    # ---- names

    def _word_names(self) -> list[str]:
        """The local name of each core argument."""
        names = []
        for param in self.call.params:
            words = [name for name, _ in param.words]
            if param.type.kind not in _NUMBERS:
                words[0] += "_pointer"
            if param.type.kind == sig.OUTSTRINGS:
                words[1] += "_pointer"
            names += [_free(word) for word in words]
        return names + [f"{result.name}_pointer" for result in self.call.results]

    # ---- arguments

    def _unpack(self, names: list[str]) -> list[str]:
        """Read the core arguments into 32-bit words; return an expression for each argument's value."""
        values = []
        for slot, (name, (word, kind)) in enumerate(zip(names, self.call.words, strict=True)):
            if self.variant.native:
                halves = [f"{name} & 0xffffffff", f"{name} >> 32 & 0xffffffff"]
                self.locals.words += [name] if kind == "i32" else halves
                values.append(name)
                continue
            if kind == "i32":
                self.text.add(1, f"{name} = slots[{4 * slot}]" if self.variant.raw else f"{name} &= 0xffffffff")
                self.locals.words.append(name)
                values.append(name)
                continue
            low, high = f"{word}_low", f"{word}_high"
            if self.variant.raw:
                self.text.add(1, f"{low} = slots[{4 * slot}]", f"{high} = slots[{4 * slot + 1}]")
            else:
                self.text.add(1, f"{low} = {name} & 0xffffffff", f"{high} = {name} >> 32 & 0xffffffff")
            self.locals.words += [low, high]
            values.append(name)
        return values

    def _decode(self, values: list[str]) -> None:
        slot = 0
        for param in self.call.params:
            count = len(param.type.words)
            getattr(self, f"_take_{param.type.kind}")(param, *values[slot : slot + count])
            slot += count

    def _take_fd(self, param: Param, number: str) -> None:
        name = "other_descriptor" if self.locals.descriptor else "descriptor"
        self.locals.descriptor = self.locals.descriptor or name
        add = self.text.add
        add(2, f"{name} = DESCRIPTOR({number})", f"if {name} is None:", f"    raise BADF({number})")
        right = int(param.right)
        if right:
            add(2, f"if {right} & ~{name}.allowed:  # {Rights(right).name}", f"    CHECK({name}, {right})")
        self.locals.arguments.append(name)

    def _take_scalar(self, param: Param, value: str) -> None:
        if param not in self.call.arguments:
            return
        if param.type.words == ("i64",):
            if not self.variant.native:
                self.text.add(2, f"{value} = {param.name}_low | {param.name}_high << 32")
            if param.type.signed:
                self.text.add(2, f"if {value} >= 0x8000000000000000:", f"    {value} -= 0x10000000000000000")
        self.locals.arguments.append(value)

    def _take_string(self, param: Param, pointer: str, length: str) -> None:
        name = _free(param.name)
        self.text.add(
            2,
            f"if {length} > {MAX_PATH} or {pointer} + {length} > MEMORY.size:",
            f"    {name} = MEMORY.string(CALLER(caller), {pointer}, {length}, {self.call.name!r}, {param.name!r})",
            "else:",
            f"    {name} = MEMORY.view[{pointer}:{pointer} + {length}].tobytes()",
        )
        self.locals.paths.append(name)
        self.locals.arguments.append(name)

    def _take_iovecs(self, param: Param, array: str, count: str) -> None:
        """Decode the array of buffers into `buffers`, and copy it into `vectors`.

        The usual case, one buffer, is decoded inline: `buffer` is then that buffer, at `pointer` with `length`, and
        `vectors` is not set. Otherwise `buffer` is None.
        """
        call = self.call.name
        self.locals.vector_count = count
        self.locals.arguments.append("buffers")
        self.text.add(
            2,
            "buffers = None",
            f"if {count} == 1 and not {array} & 3 and {array} + 8 <= MEMORY.size:",
            f"    i = {array} >> 2",
            "    pointer = MEMORY.u32[i]",
            "    length = MEMORY.u32[i + 1]",
            "    if 0 < length <= MAX_IO and pointer + length <= MEMORY.size:",
            "        buffer = MEMORY.view[pointer:pointer + length]",
            "        buffers = [buffer]",
            "if buffers is None:",
            "    buffer = None",
            f"    buffers = MEMORY.iovecs(CALLER(caller), {array}, {count}, MAX_IO, {call!r}, {param.name!r})",
        )
        if self.variant.traced:
            self.text.add(2, f"    vectors = MEMORY.view[{array}:{array} + ({count} << 3)].tobytes()")

    _take_ciovecs = _take_iovecs

    def _take_outbuf(self, param: Param, pointer: str, length: str) -> None:
        self._check(pointer, length, 1, param.name)
        self.text.add(2, f"buffer = MEMORY.view[{pointer}:{pointer} + {length}]")
        self.locals.buffer_length = length
        self.locals.arguments.append("buffer")

    def _take_outstrings(self, param: Param, array: str, block: str) -> None:
        self.returned = "strings"
        self.storing.append(f"data = MEMORY.put_strings(CALLER(caller), {array}, {block}, strings, {self.call.name!r})")

    def _take_insubs(self, param: Param, pointer: str) -> None:
        size = schema(self.call).subscription_bytes
        count = _free(param.type.count)
        self.text.add(
            2,
            f"if {pointer} & 7 or {count} > {MAX_SUBSCRIPTIONS} or {pointer} + {count} * {size} > MEMORY.size:",
            f"    asked = MEMORY.subscriptions(CALLER(caller), {pointer}, {count}, {size}, {self.call.name!r})",
            "else:",
            f"    asked = MEMORY.view[{pointer}:{pointer} + {count} * {size}].tobytes()",
            f"subscriptions = SUBSCRIPTIONS(asked, unstable={self.call.module == 'wasi_unstable'})",
        )
        self.locals.arguments.append("subscriptions")

    def _take_outevents(self, param: Param, pointer: str) -> None:
        count = _free(param.type.count)
        self._check(pointer, f"({count} << 5)", 8, param.name)
        self.returned = "events"
        self.storing += [
            "data = EVENTS(events)",
            f"{self.call.results[0].name} = len(events)",
            f"if len(events) > {count}:",
            "    raise TOO_MANY_EVENTS",
            f"MEMORY.view[{pointer}:{pointer} + len(data)] = data",
        ]

    # ---- results

    def _check(self, pointer: str, size: str | int, align: int, what: str) -> None:
        misaligned = f"{pointer} & {align - 1} or " if align > 1 else ""
        self.text.add(
            2,
            f"if {misaligned}{pointer} + {size} > MEMORY.size:",
            f"    MEMORY.check(CALLER(caller), {pointer}, {size}, {align}, {self.call.name!r}, {what!r})",
        )

    def _check_result_pointers(self, values: list[str]) -> None:
        """Check the result pointers first, so that a bad one neither leaks a descriptor nor moves data."""
        results = self.call.results
        taken = {*values, *self.locals.words, *self.locals.paths}
        for result, pointer in zip(results, values[len(values) - len(results) :], strict=True):
            self._check(pointer, result.type.size, result.type.align, f"result.{result.name}")
            name = _free(result.name)
            self.locals.results.append((f"new_{name}" if name in taken else name, result, pointer))

    def _perform(self) -> None:
        """Call the semantic function and store what it returns."""
        add = self.text.add
        if self.variant.native and self.call.name == "path_filestat_get":
            add(2, "if NATIVE.missing:  # it has looked", "    raise MISSING()")
        function = f"{'OVERRIDE' if self.variant.overridden else 'PERFORM'}_{self.id}"
        performed = f"{function}({', '.join(['HOST', *self.locals.arguments])})"
        returned = self.returned or ", ".join(name for name, _, _ in self.locals.results)
        add(2, f"{returned} = {performed}" if returned else performed, *self.storing)
        for name, result, pointer in self.locals.results:
            type_ = result.type
            if type_.record:
                layout = type_.name + ("_0" if self.call.module == "wasi_unstable" else "")
                add(2, f"PACK_{layout}(MEMORY.view, {pointer}, *{name})")
            elif type_.size == 4:
                add(2, f"MEMORY.u32[{pointer} >> 2] = {name}")
            elif type_.size == 8:
                add(2, f"MEMORY.u64[{pointer} >> 3] = {name}")
            else:
                add(2, f"PACK_U16(MEMORY.view, {pointer}, {name})")


def _free(name: str) -> str:
    """`name`, with an underscore appended if it is a Python keyword or a local of the generated code."""
    return f"{name}_" if name in _LOCALS or keyword.iskeyword(name) or hasattr(builtins, name) else name


def source(call: Call, variant: Variant) -> str:
    """The Python source of the trampoline of `call`."""
    return _Trampoline(call, variant).write()


_codes: dict[tuple[str, str, Variant], CodeType] = {}


def code(call: Call, variant: Variant) -> CodeType:
    """The compiled trampoline, cached; `types.FunctionType` binds it to the globals of a `Link`."""
    key = (call.module, call.name, variant)
    made = _codes.get(key)
    if made is None:
        text = source(call, variant)
        label = f"<wasilab trampoline {call.module}.{call.name} {variant}>"
        linecache.cache[label] = (len(text), None, text.splitlines(True), label)
        module = compile(text, label, "exec")
        made = next(constant for constant in module.co_consts if isinstance(constant, CodeType))
        _codes[key] = made
    return made
