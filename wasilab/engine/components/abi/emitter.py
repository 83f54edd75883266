"""Generates Python source that lifts component values from core words and memory, and lowers them back.

Walking the type at every call would cost more than the call. So each type is compiled once to straight-line source, as
`engine/calls/codegen.py` does for preview1. Every check of the specification is a line of it.

The values in Python:

============================  =====================================================================
bool, integers, f32, f64      bool, int, float
char, string                  str (between two guests `Text`, which remembers its encoding)
list<u8>                      a `memoryview`, valid during the call; `bytes` where it must last
list<T>, map<K, V>            list (of pairs)
record, tuple                 tuple, fields in order
variant                       (case, value), value None for a case without one
enum                          str
option<T>                     None or the value; the value in a tuple of one if T is an option itself
result<T, E>                  ("ok", value) or ("error", value)
flags                         int, the first label is bit 0
own, borrow                   the resource's representation (`Handle.rep`)
stream, future                the shared object of its two ends
============================  =====================================================================

Core words are unsigned integers of 32 or 64 bits, even if the core type is f32 or f64. The source's globals are
`GLOBALS` and those of a `CanonContext`.

Source: component-model, `design/mvp/CanonicalABI.md`.
"""

from __future__ import annotations

from ....wasi.components.value_types import (
    MAX_VALUE_BYTES,
    NUMBERS,
    BorrowType,
    ComponentFuncType,
    EnumType,
    FlagsType,
    FutureType,
    ListType,
    MapType,
    OptionType,
    OwnType,
    PrimitiveType,
    RecordType,
    StreamType,
    TupleType,
    ValueType,
    cases_of,
    discriminant_size,
    fields_of,
    flat,
    layout,
    pair_of,
    payload_offset,
)
from ....wasi.components.waits import Value
from ....wasi.types import Trap
from .linear_memory import bits_of_f32, bits_of_f64, char_of, code_of, f32_of, f64_of

MAX_DEPTH = 8
"""Maximum nesting of blocks in one generated function; deeper blocks become separate functions."""
_CODES = {
    "s8": "b", "u8": "B", "s16": "h", "u16": "H", "s32": "i", "u32": "I", "s64": "q", "u64": "Q", "f32": "f",
    "f64": "d",
}  # fmt: skip
_VIEWS = {1: ("view", 0), 2: ("u16", 1), 4: ("u32", 2), 8: ("u64", 3)}

Word = tuple[str, str]
"""The expression of a core word, and the core type of its slot."""


def _bad_case(index: int, count: int) -> Trap:
    return Trap(f"invalid discriminant {index}: the type has {count} cases")


GLOBALS: dict[str, Value] = {
    "F32": f32_of, "F64": f64_of, "BITS32": bits_of_f32, "BITS64": bits_of_f64, "CHAR": char_of, "CODE": code_of,
    "BADCASE": _bad_case, "len": len, "bytes": bytes, "range": range, "enumerate": enumerate, "bool": bool,
    "ValueError": ValueError,
}  # fmt: skip


def from_word(name: str, word: str) -> str:
    """The expression of a primitive value (except a string) from a core word."""
    if name == "bool":
        return f"({word} != 0)"
    if name in ("u32", "u64"):
        return word
    if name in ("u8", "u16"):
        return f"({word} & {0xFF if name == 'u8' else 0xFFFF})"
    if name in ("s8", "s16", "s32", "s64"):
        bits = int(name[1:])
        masked = word if bits >= 32 else f"({word} & {(1 << bits) - 1})"
        return f"(({masked} ^ {1 << (bits - 1)}) - {1 << (bits - 1)})"
    return {"f32": "F32", "f64": "F64", "char": "CHAR", "error-context": "ERRCTX"}[name] + f"({word})"


def to_word(name: str, value: str) -> str:
    """The expression of the core word of a primitive value (except a string)."""
    if name == "bool":
        return f"(1 if {value} else 0)"
    if name in ("s8", "s16", "s32"):
        return f"({value} & 0xffffffff)"
    if name == "s64":
        return f"({value} & 0xffffffffffffffff)"
    if name in ("f32", "f64"):
        return f"{'BITS32' if name == 'f32' else 'BITS64'}({value})"
    return f"CODE({value})" if name == "char" else f"NEWERRCTX({value})" if name == "error-context" else value


class Emitter:
    """A buffer of generated source. `between`: the values go from one guest to another; `lasting`: bytes are copied."""

    def __init__(self, encoding: str = "utf8", *, between: bool = False, lasting: bool = False, lends: bool = False):
        self.encoding = encoding
        self.between = between
        self.lasting = lasting or between
        self.lends = lends
        self.lines: list[str] = []
        self.functions: list[str] = []
        self.constants: list[Value] = []
        self.handles: list[str] = []
        """The names of the `Handle`s behind borrowed parameters, in order."""
        self.depth = 1
        self._names = 0

    # ---- text

    def put(self, *lines: str) -> None:
        """Add lines at the current depth."""
        self.lines += ["    " * self.depth + line for line in lines]

    def fresh(self, prefix: str = "x") -> str:
        """An unused name."""
        self._names += 1
        return f"{prefix}{self._names}"

    def constant(self, value: Value) -> str:
        """The name of a constant object."""
        for index, known in enumerate(self.constants):
            if known is value:
                return f"K{index}"
        self.constants.append(value)
        return f"K{len(self.constants) - 1}"

    def named(self, expression: str) -> str:
        """Assign an expression to a local at this point; return its name."""
        if expression.isidentifier():
            return expression
        name = self.fresh()
        self.put(f"{name} = {expression}")
        return name

    def _apart(self, parameters: str, body: Value) -> str:
        """Emit a separate function from the lines that `body()` adds and the expression it returns; return its name."""
        name = self.fresh("f")
        lines, depth = self.lines, self.depth
        self.lines, self.depth = [], 1
        result = body()
        self.put(f"return {result}")
        self.functions.append("\n".join([f"def {name}({parameters}):", *self.lines]))
        self.lines, self.depth = lines, depth
        return name

    # ---- lifting from core words

    def lift(self, type_: ValueType, words: list[Word]) -> str:
        """The expression of the value in `words` (as many as `flat` says)."""
        wanted = flat(type_)
        plain = [f"({w} & 0xffffffff)" if have == "i64" and want != "i64" and want != "f64" else w
                 for (w, have), want in zip(words, wanted, strict=True)]  # fmt: skip
        if isinstance(type_, PrimitiveType):
            if type_.name == "string":
                return self.named(self._string(plain[0], plain[1]))
            value = from_word(type_.name, plain[0])
            return self.named(value) if type_.name in ("char", "error-context") else value
        if isinstance(type_, MapType):
            return self._list(ListType(pair_of(type_), None), plain[0], plain[1])
        if isinstance(type_, ListType):
            if type_.length is None:
                return self._list(type_, plain[0], plain[1])
            count = len(flat(type_.element))
            parts = [self.lift(type_.element, words[i * count : (i + 1) * count]) for i in range(type_.length)]
            return self.named(f"[{', '.join(parts)}]")
        if isinstance(type_, (OwnType, BorrowType, StreamType, FutureType)):
            return self.named(self._handle(type_, plain[0]))
        if isinstance(type_, FlagsType):
            return f"({plain[0]} & {(1 << len(type_.labels)) - 1})"
        if isinstance(type_, (RecordType, TupleType)):
            parts, at = [], 0
            for part in type_.parts():
                count = len(flat(part))
                parts.append(self.lift(part, [(w, k) for w, k in words[at : at + count]]))
                at += count
            return self.named(f"({', '.join(parts)},)")
        return self._lift_variant(type_, plain[0], lambda part: self.lift(part, words[1 : 1 + len(flat(part))]))

    def _lift_variant(self, type_: ValueType, index: str, payload: Value) -> str:
        cases = cases_of(type_)
        index = self.named(index)
        self.put(f"if {index} >= {len(cases)}:", f"    raise BADCASE({index}, {len(cases)})")
        empty = tuple(self._case_value(type_, name, None) for name, _ in cases)
        if all(part is None for _, part in cases):
            return self.named(f"{self.constant(empty)}[{index}]")
        value, word = self.fresh(), "if"
        for number, (name, part) in enumerate(cases):
            if part is not None:
                self.put(f"{word} {index} == {number}:")
                self.depth += 1
                self.put(f"{value} = {self._case_text(type_, name, payload(part))}")
                self.depth -= 1
                word = "elif"
        if any(part is None for _, part in cases):
            self.put("else:", f"    {value} = {self.constant(empty)}[{index}]")
        return value

    @staticmethod
    def _case_value(type_: ValueType, name: str, value: Value) -> Value:
        if isinstance(type_, EnumType):
            return name
        return None if isinstance(type_, OptionType) else (name, value)

    @staticmethod
    def _case_text(type_: ValueType, name: str, value: str) -> str:
        if isinstance(type_, OptionType):
            return f"({value},)" if isinstance(type_.some, OptionType) else value
        return f"({name!r}, {value})"

    def _string(self, pointer: str, units: str) -> str:
        if self.between:
            return f"M.text({pointer}, {units}, {self.encoding!r})"
        method = {"utf8": "utf8", "utf16": "utf16", "latin1+utf16": "latin1_or_utf16"}[self.encoding]
        return f"M.{method}({pointer}, {units})"

    def _handle(self, type_: ValueType, word: str) -> str:
        if isinstance(type_, OwnType):
            return f"T.take_own({word}, {self.constant(type_.resource)})"
        if isinstance(type_, BorrowType):
            resource = self.constant(type_.resource)
            if self.lends:
                return f"T.lend({word}, {resource}, LENDERS)"
            handle = self.fresh("h")
            if self.depth <= 2:
                self.handles.append(handle)
            self.put(
                f"{handle} = ENTRY({word})",
                f"if {handle}.__class__ is not HANDLE or {handle}.resource is not {resource}:",
                f"    {handle} = T.handle({word}, {resource})",
            )
            return f"{handle}.rep"
        return f"TAKE_END({word}, {self.constant(type_)})"

    # ---- lists

    def _list(self, type_: ListType, pointer: str, count: str) -> str:
        element = type_.element
        if isinstance(element, PrimitiveType) and element.name in NUMBERS:
            if element.name == "u8":
                base, many = self.named(pointer), self.named(count)
                self.put(
                    f"if {many} > {MAX_VALUE_BYTES} or {base} + {many} > M.size:",
                    f"    M.list_check({base}, {many}, 1, 1)",
                )
                taken = f"M.view[{base}:{base} + {many}]"
                return self.named(f"bytes({taken})" if self.lasting else taken)
            size = layout(element)[0]
            return self.named(f"M.numbers({pointer}, {count}, {size}, {_CODES[element.name]!r})")
        size, alignment = layout(element)
        base, many = self.named(pointer), self.named(count)
        self.put(f"M.list_check({base}, {many}, {size}, {alignment})")
        return self.elements(element, base, many)

    def elements(self, element: ValueType, base: str, count: str) -> str:
        """A list of `count` elements at `base`, which is already checked."""
        size = layout(element)[0]
        found, index, at = self.fresh("l"), self.fresh("i"), self.fresh("p")
        self.put(f"{found} = []", f"for {index} in range({count}):")
        self.depth += 1
        self.put(f"{at} = {base} + {index} * {size}")
        self.put(f"{found}.append({self.load(element, at, 0)})")
        self.depth -= 1
        return found

    # ---- loading from memory

    def load(self, type_: ValueType, base: str, offset: int) -> str:
        """The expression of the value at `base + offset`; bounds and alignment are already checked."""
        at = f"{base} + {offset}" if offset else base
        if isinstance(type_, PrimitiveType):
            if type_.name == "string":
                return self.named(self._string(self._word(base, offset, 4), self._word(base, offset + 4, 4)))
            value = from_word(type_.name, self._word(base, offset, layout(type_)[0]))
            return self.named(value)
        if isinstance(type_, (OwnType, BorrowType, StreamType, FutureType)):
            return self.named(self._handle(type_, self.named(self._word(base, offset, 4))))
        if isinstance(type_, FlagsType):
            return self.named(f"{self._word(base, offset, layout(type_)[0])} & {(1 << len(type_.labels)) - 1}")
        if self.depth > MAX_DEPTH:
            inner = self._apart(self._extra("p"), lambda: self.load(type_, "p", 0))
            return self.named(f"{inner}({self._extra(at)})")
        if isinstance(type_, MapType):
            return self._list(
                ListType(pair_of(type_), None), self._word(base, offset, 4), self._word(base, offset + 4, 4)
            )
        if isinstance(type_, ListType):
            if type_.length is None:
                return self._list(type_, self._word(base, offset, 4), self._word(base, offset + 4, 4))
            return self.elements(type_.element, self.named(at), str(type_.length))
        if isinstance(type_, (RecordType, TupleType)):
            parts = [self.load(part, base, offset + where) for where, part in fields_of(type_)]
            return self.named(f"({', '.join(parts)},)")
        size, behind = discriminant_size(len(cases_of(type_))), payload_offset(type_)
        return self._lift_variant(
            type_, self._word(base, offset, size), lambda part: self.load(part, base, offset + behind)
        )

    def _extra(self, first: str) -> str:
        return f"{first}, LENDERS" if self.lends else first

    @staticmethod
    def _word(base: str, offset: int, size: int) -> str:
        view, shift = _VIEWS[size]
        at = f"{base} + {offset}" if offset else base
        if not shift:
            return f"M.view[{at}]"
        return f"M.{view}[({at}) >> {shift}]" if offset else f"M.{view}[{at} >> {shift}]"

    # ---- lowering to core words

    def lower(self, type_: ValueType, value: str) -> list[str]:
        """The expressions of the core words of a value."""
        if isinstance(type_, PrimitiveType):
            if type_.name == "string":
                return self._put_string(value)
            word = to_word(type_.name, value)
            return [self.named(word) if type_.name == "error-context" else word]
        if isinstance(type_, MapType):
            return list(self._put_list(ListType(pair_of(type_), None), value))
        if isinstance(type_, ListType):
            if type_.length is None:
                return list(self._put_list(type_, value))
            names = [self.fresh() for _ in range(type_.length)]
            self.put(f"{', '.join(names)}, = {value}")
            return [word for name in names for word in self.lower(type_.element, name)]
        if isinstance(type_, (OwnType, BorrowType, StreamType, FutureType)):
            return [self.named(self._give_handle(type_, value))]
        if isinstance(type_, FlagsType):
            return [value]
        if isinstance(type_, (RecordType, TupleType)):
            parts = list(type_.parts())
            names = [self.fresh() for _ in parts]
            self.put(f"{', '.join(names)}, = {value}")
            return [word for name, part in zip(names, parts, strict=True) for word in self.lower(part, name)]
        return self._lower_variant(type_, value)

    def _lower_variant(self, type_: ValueType, value: str) -> list[str]:
        words = [self.fresh("w") for _ in flat(type_)]
        if len(words) > 1:
            self.put(f"{' = '.join(words[1:])} = 0")

        def payload(part: ValueType, inner: str) -> None:
            for name, word in zip(words[1:], self.lower(part, inner), strict=False):
                self.put(f"{name} = {word}")

        self._choose(type_, value, lambda number: f"{words[0]} = {number}", payload)
        return words

    def _choose(self, type_: ValueType, value: str, index: Value, payload: Value) -> None:
        """Emit lines that set the case index of a value and lower its payload."""
        cases = cases_of(type_)
        value = self.named(value)
        if isinstance(type_, OptionType):
            self.put(f"if {value} is None:", f"    {index('0')}", "else:")
            self.depth += 1
            self.put(index("1"))
            payload(type_.some, f"{value}[0]" if isinstance(type_.some, OptionType) else value)
            self.depth -= 1
            return
        numbers = self.constant(_Numbers((name, number) for number, (name, _) in enumerate(cases)))
        if isinstance(type_, EnumType):
            self.put(index(f"{numbers}[{value}]"))
            return
        chosen, inner = self.fresh("c"), self.fresh()
        self.put(f"{chosen}, {inner} = {value}", f"{chosen} = {numbers}[{chosen}]", index(chosen))
        word = "if"
        for number, (_, part) in enumerate(cases):
            if part is not None:
                self.put(f"{word} {chosen} == {number}:")
                self.depth += 1
                before = len(self.lines)
                payload(part, inner)
                if len(self.lines) == before:
                    self.put("pass")
                self.depth -= 1
                word = "elif"

    def _put_string(self, value: str) -> list[str]:
        pointer, units = self.fresh("p"), self.fresh("n")
        if self.encoding == "utf8" and not self.between:
            self.put(f"{pointer}, {units} = M.put_utf8({value}, A)")
        else:
            self.put(f"{pointer}, {units} = M.put_text({value}, A, {self.encoding!r})")
        return [pointer, units]

    def _put_list(self, type_: ListType, value: str) -> tuple[str, str]:
        element = type_.element
        size, alignment = layout(element)
        value = self.named(value)
        pointer, count = self.fresh("p"), self.fresh("n")
        length = f"{count} * {size}" if size > 1 else count
        # A checks its own result: aligned, and inside the memory.
        self.put(
            f"{count} = len({value})",
            f"{pointer} = A(0, 0, {alignment}, {length})",
        )
        if isinstance(element, PrimitiveType) and element.name == "u8":
            self.put(f"M.view[{pointer}:{pointer} + {count}] = {value}")
        else:
            self.store_elements(element, value, pointer)
        return pointer, count

    def store_elements(self, element: ValueType, value: str, base: str) -> None:
        size = layout(element)[0]
        index, item, at = self.fresh("i"), self.fresh(), self.fresh("p")
        self.put(f"for {index}, {item} in enumerate({value}):")
        self.depth += 1
        self.put(f"{at} = {base} + {index} * {size}")
        self.store(element, item, at, 0)
        self.depth -= 1

    def _give_handle(self, type_: ValueType, value: str) -> str:
        if isinstance(type_, OwnType):
            return f"OWN({self.constant(type_.resource)}, {value})"
        if isinstance(type_, BorrowType):
            return f"BORROW({self.constant(type_.resource)}, {value}, TASK)"
        return f"ADD_END({value}, {self.constant(type_)})"

    # ---- storing in memory

    def store(self, type_: ValueType, value: str, base: str, offset: int) -> None:
        """Emit lines that write a value at `base + offset`; bounds and alignment are already checked."""
        at = f"{base} + {offset}" if offset else base
        if isinstance(type_, PrimitiveType) and type_.name != "string":
            size = layout(type_)[0]
            word = to_word(type_.name, value)
            if type_.name in ("s8", "s16"):
                word = f"({value} & {(1 << 8 * size) - 1})"
            self.put(f"{self._word(base, offset, size)} = {word}")
        elif isinstance(type_, (OwnType, BorrowType, StreamType, FutureType)):
            handle = self.named(self._give_handle(type_, value))
            self.put(f"{self._word(base, offset, 4)} = {handle}")
        elif isinstance(type_, FlagsType):
            self.put(f"{self._word(base, offset, layout(type_)[0])} = {value}")
        elif self.depth > MAX_DEPTH:
            parameters = "v, p, TASK"

            def body() -> str:
                self.store(type_, "v", "p", 0)
                return "None"

            self.put(f"{self._apart(parameters, body)}({value}, {at}, TASK)")
        elif isinstance(type_, (PrimitiveType, MapType)) or (isinstance(type_, ListType) and type_.length is None):
            pointer, count = self.lower(type_, value)
            self.put(f"{self._word(base, offset, 4)} = {pointer}", f"{self._word(base, offset + 4, 4)} = {count}")
        elif isinstance(type_, ListType):
            name = self.named(value)
            self.put(f"if len({name}) != {type_.length}:", "    raise ValueError('a list of a fixed length')")
            self.store_elements(type_.element, name, self.named(at))
        elif isinstance(type_, (RecordType, TupleType)):
            fields = fields_of(type_)
            names = [self.fresh() for _ in fields]
            self.put(f"{', '.join(names)}, = {value}")
            for name, (where, part) in zip(names, fields, strict=True):
                self.store(part, name, base, offset + where)
        else:
            size, behind = discriminant_size(len(cases_of(type_))), payload_offset(type_)
            self._choose(
                type_, value, lambda number: f"{self._word(base, offset, size)} = {number}",
                lambda part, inner: self.store(part, inner, base, offset + behind),
            )  # fmt: skip

    # ---- all parameters, or the result

    def parameters(self, function: ComponentFuncType, words: list[Word], *, in_memory: bool) -> list[str]:
        """Expressions of the arguments, from the core words or from one tuple in memory."""
        types = [type_ for _, type_ in function.params]
        if in_memory:
            whole = TupleType(tuple(types))
            size, alignment = layout(whole)
            pointer = self.named(words[0][0])
            self.put(f"M.check({pointer}, {size}, {alignment})")
            return [self.load(part, pointer, where) for where, part in fields_of(whole)]
        found, at = [], 0
        for type_ in types:
            count = len(flat(type_))
            found.append(self.lift(type_, words[at : at + count]))
            at += count
        return found


class _Numbers(dict[str, int]):
    """Maps case names to numbers. Constants are told apart by identity, so equal mappings stay separate."""

    def __missing__(self, name: str) -> int:
        raise ValueError(f"{name!r} is not one of {', '.join(self)}")
