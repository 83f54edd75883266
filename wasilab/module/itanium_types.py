"""The types, template arguments and expressions inside a mangled C++ name: read over, and counted for substitutions.

The lower half of `itanium.py`, which reads names and says what this is for. Of a type no more is kept than what it is
called, so what is remembered stays as short as the mangled name itself.
"""

from __future__ import annotations

STD = {
    "a": "std::allocator", "b": "std::basic_string", "s": "std::string", "i": "std::istream", "o": "std::ostream",
    "d": "std::iostream",
}  # fmt: skip
_BUILTINS = {
    "v": "void", "w": "wchar_t", "b": "bool", "c": "char", "a": "signed char", "h": "unsigned char", "s": "short",
    "t": "unsigned short", "i": "int", "j": "unsigned int", "l": "long", "m": "unsigned long", "x": "long long",
    "y": "unsigned long long", "n": "__int128", "o": "unsigned __int128", "f": "float", "d": "double",
    "e": "long double", "g": "__float128", "z": "...",
}  # fmt: skip
_POINTERS = {"P": "*", "R": "&", "O": "&&"}
_DIGITS = "0123456789"
_SEQUENCE = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OPERANDS = {
    **dict.fromkeys(("ng", "ps", "ad", "de", "co", "nt", "pp", "mm", "nx", "sz", "te", "sp", "tw", "aw"), 1),
    **dict.fromkeys(("pl", "mi", "ml", "dv", "rm", "an", "or", "eo", "ls", "rs", "eq", "ne", "lt", "gt", "le"), 2),
    **dict.fromkeys(("ge", "aa", "oo", "ix", "cm", "pm", "ss", "ds", "aS", "pL", "mI", "mL"), 2),
    "qu": 3,
}
MAX_DEPTH = 120
MAX_SHOWN = 1000
"""Characters of a name; a longer one is not worth reading."""


class NotUnderstood(Exception):
    """The name uses a part of the scheme that is not read here."""


class TypeReader:
    """A place in a mangled name, and what has been read so far that a substitution may name."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 2
        self.seen: list[str] = []
        self.depth = 0

    # ---- letters

    def peek(self, size: int = 1) -> str:
        return self.text[self.at : self.at + size]

    def take(self, expected: str) -> bool:
        if self.text.startswith(expected, self.at):
            self.at += len(expected)
            return True
        return False

    def need(self, expected: str) -> None:
        if not self.take(expected):
            raise NotUnderstood

    def letters(self, allowed: str) -> str:
        start = self.at
        while self.at < len(self.text) and self.text[self.at] in allowed:
            self.at += 1
        return self.text[start : self.at]

    def saw(self, name: str) -> str:
        self.seen.append(name)
        return name

    # ---- what `itanium.py` adds

    def encoding(self) -> str:
        raise NotUnderstood

    def name(self) -> str:
        raise NotUnderstood

    def unqualified(self, enclosing: str) -> str:
        raise NotUnderstood

    def source_name(self) -> str:
        digits = self.letters(_DIGITS)
        size = int(digits[:6])
        found = self.text[self.at : self.at + size]
        if not size or len(found) != size:
            raise NotUnderstood
        self.at += size
        return "(anonymous namespace)" if found.startswith("_GLOBAL__N") else found

    # ---- substitutions and templates

    def substitution(self) -> str:
        self.need("S")
        letter = self.peek()
        if letter in STD and letter:
            self.at += 1
            found = STD[letter]
            while self.take("B"):
                self.source_name()
            return found
        digits = self.letters(_SEQUENCE)
        self.need("_")
        return self.seen[int(digits[:6], 36) + 1 if digits else 0]

    def template_arguments(self) -> str:
        """`<...>` if there are any."""
        if not self.take("I"):
            return ""
        while not self.take("E"):
            if self.take("Q"):
                self.expression()  # a requires clause
            else:
                self.template_argument()
        return "<...>"

    def template_argument(self) -> None:
        if self.take("J"):
            while not self.take("E"):
                self.template_argument()
        elif self.take("X"):
            self.expression()
            self.need("E")
        elif self.peek() == "L":
            self.literal()
        else:
            self.template_declaration() or self.type()

    def template_declaration(self) -> bool:
        """The parameters that a generic lambda declares: `Ty`, `Tn type`, `Tp ...`."""
        if self.take("Tp"):
            return self.template_declaration()
        if self.take("Ty"):
            return True
        if self.take("Tn"):
            self.type()
            return True
        return False

    def template_parameter(self) -> str:
        self.need("T")
        if self.take("L"):
            self.letters(_DIGITS)
            self.need("_")
        self.letters(_DIGITS)
        self.need("_")
        return "T"

    def decltype(self) -> None:
        self.at += 2
        self.expression()
        self.need("E")

    # ---- types: only what they are called

    def type(self) -> str:
        """The name of a type that has one, "" for any other."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotUnderstood
        try:
            return self._type()
        finally:
            self.depth -= 1

    def _type(self) -> str:
        letter = self.peek()
        if not letter:
            raise NotUnderstood
        if letter in _BUILTINS:
            self.at += 1
            return _BUILTINS[letter]
        if letter in "rVK":
            self.letters("rVK")
            return self.saw(self.type())
        if letter in "PROCG":
            self.at += 1
            of = self.type()
            return self.saw(f"{of}{_POINTERS.get(letter, '')}" if of else "")
        if letter in _DIGITS or letter in "NZ" or self.peek(2) == "St":
            return self.saw(self.name())
        if letter == "S":
            found = self.substitution()
            return self.saw(found + self.template_arguments()) if self.peek() == "I" else found
        if letter == "T" and self.peek(2) not in ("Ts", "Tu", "Te"):
            found = self.saw(self.template_parameter())
            return self.saw(found + self.template_arguments()) if self.peek() == "I" else found
        return self._other_type(letter)

    def _other_type(self, letter: str) -> str:
        self.at += 1
        if letter == "T":
            self.at += 1
            return self.saw(self.name())
        if letter == "D":
            return self._d_type()
        if letter in "uU":
            self.source_name()
            self.template_arguments()
            return self.saw(self.type() if letter == "U" else "")
        if letter == "F":
            self.take("Y")
            while not self.take("E"):
                if self.peek(2) in ("RE", "OE"):
                    self.at += 1
                else:
                    self.type()
        elif letter == "A":
            if self.peek() != "_" and not self.letters(_DIGITS):
                self.expression()
            self.need("_")
            self.type()
        elif letter == "M":
            self.type()
            self.type()
        else:
            raise NotUnderstood
        return self.saw("")

    def _d_type(self) -> str:
        letter = self.peek()
        self.at += 1
        if letter in "defhisacnu" and letter:
            return ""
        if letter == "F":
            self.letters(_DIGITS)
            if not (self.take("_") or self.take("b")):
                raise NotUnderstood
            return ""
        if letter in ("t", "T"):
            self.at -= 2
            self.decltype()
        elif letter == "p":
            self.type()
        elif letter == "o":
            return self.type()
        elif letter == "O":
            self.expression()
            self.need("E")
            return self.type()
        elif letter == "v":
            self.letters(_DIGITS)
            self.need("_")
            self.type()
        else:
            raise NotUnderstood
        return self.saw("")

    # ---- expressions and literals: read over

    def literal(self) -> None:
        self.need("L")
        if self.take("_Z"):
            self.encoding()
        else:
            self.type()
            self.letters("0123456789abcdefn_.")
        self.need("E")

    def expression(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotUnderstood
        try:
            self._expression()
        finally:
            self.depth -= 1

    def _expression(self) -> None:
        self.take("gs")
        two = self.peek(2)
        if self.peek() == "L":
            self.literal()
        elif self.peek() == "T":
            self.template_parameter()
        elif two[:1] in _DIGITS and two:
            self.source_name()
            self.template_arguments()
        elif two in ("fp", "fL"):
            self.at += 2
            self.letters(_DIGITS + "prVK")
            self.need("_")
        elif self.take("sr"):
            self._unresolved()
        elif two in ("st", "at", "ti"):
            self.at += 2
            self.type()
        elif self.take("sZ"):
            self.template_parameter() if self.peek() == "T" else self.expression()
        elif two in ("fl", "fr", "fL", "fR"):
            self.at += 4
            self.expression()
        elif two in ("cl", "tl", "il", "sP", "cv"):
            self._several(two)
        elif two in ("dt", "pt"):
            self.at += 2
            self.expression()
            self._member()
        elif self.take("on"):
            self.unqualified("")
            self.template_arguments()
        elif two in _OPERANDS:
            self.at += 2
            self.take("_")
            for _ in range(_OPERANDS[two]):
                self.expression()
        else:
            raise NotUnderstood

    def _several(self, kind: str) -> None:
        self.at += 2
        if kind in ("tl", "cv"):
            self.type()
        if kind == "cv" and not self.take("_"):
            self.expression()
            return
        while not self.take("E"):
            self.template_argument() if kind == "sP" else self.expression()

    def _unresolved(self) -> None:
        """A name in something that is not known before it is instantiated: `T::value`, `name<T>::value`."""
        if self.take("N"):
            self.type()
        if self.peek() in _DIGITS:
            while not self.take("E"):
                self.source_name()
                self.template_arguments()
        else:
            self.type()
        self._base()

    def _member(self) -> None:
        if self.take("sr"):
            self._unresolved()
        else:
            self._base()

    def _base(self) -> None:
        self.take("on")
        self.unqualified("")
        self.template_arguments()
