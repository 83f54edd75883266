"""Names of C++ functions from their mangled form: the qualified name, template arguments shown as `<...>`.

Reads the whole grammar of a name, with types and template arguments, because a substitution (`S_`, `S0_`, ...) counts
everything that came before it; but keeps no more than names, and none of more than 1,000 characters, so that
nothing a stranger wrote can grow. Parameter types are not shown.

Source: the Itanium C++ ABI, 5.1. What is not understood raises `NotUnderstood`.
"""

from __future__ import annotations

from .itanium_types import MAX_DEPTH, MAX_SHOWN, NotUnderstood, TypeReader

OPERATORS = {
    "nw": " new", "na": " new[]", "dl": " delete", "da": " delete[]", "pl": "+", "mi": "-", "ml": "*", "dv": "/",
    "rm": "%", "an": "&", "or": "|", "eo": "^", "aS": "=", "pL": "+=", "mI": "-=", "mL": "*=", "dV": "/=", "rM": "%=",
    "aN": "&=", "oR": "|=", "eO": "^=", "ls": "<<", "rs": ">>", "lS": "<<=", "rS": ">>=", "eq": "==", "ne": "!=",
    "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "nt": "!", "aa": "&&", "oo": "||", "pp": "++", "mm": "--",
    "cl": "()", "ix": "[]", "pt": "->", "pm": "->*", "ss": "<=>", "de": "*", "ad": "&", "co": "~", "cm": ",",
    "ng": "-", "ps": "+", "qu": "?", "aw": " co_await",
}  # fmt: skip
DIGITS = "0123456789"
MAX_PARTS = 64


def demangle(mangled: str) -> str:
    """`_ZN3lab3BoxIiE3getEv` → `lab::Box<...>::get`. Raises `NotUnderstood` (or `IndexError`, `ValueError`)."""
    return _Name(mangled).mangled()


class _Name(TypeReader):
    """Reads names, with the types and expressions inside them."""

    # ---- encodings and names

    def mangled(self) -> str:
        for special, words in (("TV", "vtable for "), ("TT", "VTT for "), ("TI", "typeinfo for "),
                               ("TS", "typeinfo name for ")):  # fmt: skip
            if self.take(special):
                return words + (self.type() or "a type")
        for special, words in (("GV", "guard variable for "), ("GR", "reference temporary for "),
                               ("TW", "thread-local wrapper for "), ("TH", "thread-local init for ")):  # fmt: skip
            if self.take(special):
                return words + self.name()
        if self.take("TC"):
            return "construction vtable for " + (self.type() or "a type")
        if self.peek(2) in ("Th", "Tv", "Tc"):
            while self.letters("Tchvn0123456789_"):
                pass
            return "thunk to " + self.name()
        return self.name()

    def encoding(self) -> str:
        """An encoding inside another one, up to the E that ends it: its parameter types count."""
        found = self.mangled()
        while self.peek() != "E":
            self.type()
        return found

    def name(self) -> str:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotUnderstood
        try:
            found = self._name()
        finally:
            self.depth -= 1
        if len(found) > MAX_SHOWN:
            raise NotUnderstood
        return found

    def _name(self) -> str:
        if self.take("N"):
            return self.nested()
        if self.take("Z"):
            return self.local()
        if self.peek() == "S" and self.peek(2) != "St":
            found = self.substitution()
        else:
            found = f"std::{self.unqualified('')}" if self.take("St") else self.unqualified("")
            if self.peek() == "I":
                self.saw(found)
        return found + self.template_arguments()

    def nested(self) -> str:
        self.letters("rVK")
        if self.peek() in "RO":
            self.at += 1
        found = ""
        parts = 0
        while not self.take("E"):
            parts += 1
            if parts > MAX_PARTS or len(found) > MAX_SHOWN:
                raise NotUnderstood
            if self.take("St"):
                found = "std"
                continue
            if self.peek() == "S":
                found = self.substitution()
                continue
            if self.peek() == "I":
                if not found:
                    raise NotUnderstood
                found += self.template_arguments()
            elif self.peek() == "T":
                found = self.template_parameter()
            elif self.peek(2) in ("Dt", "DT"):
                self.decltype()
                found = "decltype(...)"
            elif self.take("M"):
                continue
            else:
                part = self.unqualified(found)
                found = f"{found}::{part}" if found else part
            if self.peek() != "E":
                self.saw(found)
        if not found:
            raise NotUnderstood
        return found

    def local(self) -> str:
        outer = self.encoding()
        self.need("E")
        if self.take("s"):
            self.discriminator()
            return f"{outer}::string literal"
        if self.take("d"):
            self.letters(DIGITS)
            self.need("_")
        found = f"{outer}::{self.name()}"
        self.discriminator()
        return found

    def discriminator(self) -> None:
        if self.take("__"):
            self.letters(DIGITS)
            self.need("_")
        elif self.peek() == "_" and self.peek(2)[1:].isdigit():
            self.at += 2

    def unqualified(self, enclosing: str) -> str:
        """One part of a name; `enclosing` names the class of a constructor."""
        while self.peek() in ("L", "F"):
            self.at += 1
        two = self.peek(2)
        plain = enclosing.replace("<...>", "").rsplit("::", 1)[-1]
        if two[:1] in DIGITS and two:
            found = self.source_name()
        elif two[:1] == "C" and two[1:] in ("1", "2", "3", "4", "5"):
            self.at += 2
            found = plain
        elif two == "CI":
            self.at += 3
            self.type()
            found = plain
        elif two[:1] == "D" and two[1:] in ("0", "1", "2", "4", "5"):
            self.at += 2
            found = f"~{plain}"
        elif self.take("DC"):
            names = []
            while not self.take("E"):
                names.append(self.source_name())
            found = f"[{', '.join(names[:8])}]"
        elif self.take("Ut"):
            self.letters(DIGITS)
            self.need("_")
            found = "{unnamed}"
        elif self.take("Ul"):
            while not self.take("E"):
                self.template_declaration() or self.type()
            self.letters(DIGITS)
            self.need("_")
            found = "{lambda}"
        else:
            found = self.operator()
        while self.take("B"):
            self.source_name()
        return found

    def operator(self) -> str:
        if self.take("cv"):
            return f"operator {self.type() or 'a type'}"
        if self.take("li"):
            return f'operator""{self.source_name()}'
        found = OPERATORS.get(self.peek(2))
        if found is None:
            raise NotUnderstood
        self.at += 2
        return f"operator{found}"
