"""A guest made of a list of calls, so that a test says what it does in one place."""

from __future__ import annotations

from wasilab.wasi.preview1.spec import SNAPSHOT1

TEXT_AT, RESULT_AT, VECTOR_AT = 1024, 64, 96


def program(*calls: tuple[str, tuple[int | bytes, ...]]) -> str:
    """WAT of a program that makes these calls, ignoring what they answer.

    An argument in bytes is put into memory and becomes two: pointer and length; ("fd_write", (1, b"text")) writes one
    buffer. Results go to `RESULT_AT`.
    """
    names = sorted({name for name, _ in calls})
    imports = "".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {" ".join(SNAPSHOT1[name].signature)}) '
        f"(result i32)))\n"
        for name in names
    )
    data, body, at = "", "", TEXT_AT
    for name, arguments in calls:
        words: list[int] = []
        for argument in arguments:
            if isinstance(argument, int):
                words.append(argument)
                continue
            escaped = "".join(f"\\{byte:02x}" for byte in argument)
            data += f'(data (i32.const {at}) "{escaped}")\n'
            if name in ("fd_write", "fd_pwrite", "fd_read"):
                body += f"(i32.store (i32.const {VECTOR_AT}) (i32.const {at}))"
                body += f"(i32.store (i32.const {VECTOR_AT + 4}) (i32.const {len(argument)}))"
                words += [VECTOR_AT, 1]
            else:
                words += [at, len(argument)]
            at += len(argument) + 1
        kinds = SNAPSHOT1[name].signature
        words += [RESULT_AT] * (len(kinds) - len(words))
        values = " ".join(f"({kind}.const {word})" for kind, word in zip(kinds, words, strict=True))
        body += f"(drop (call ${name} {values}))\n"
    return f'(module\n{imports}(memory (export "memory") 1)\n{data}(func (export "_start")\n{body}))'
