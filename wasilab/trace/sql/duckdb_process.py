"""The process in which DuckDB runs one statement, started as a script by `statements.py`.

DuckDB counts only part of its memory and reacts to an interrupt only between steps: one call of a function such as
`repeat` can use all memory of the machine, or take minutes. So a statement runs in a separate process, which has a
memory limit and can be killed. It imports nothing from this package.

Standard input: a line of JSON (`statement`, `memory` in bytes, `views`: name and bytes of each), then the views as
Arrow IPC streams. Standard output: a line of JSON, `{}` or `{"error": DuckDB's message}`, then the result as an Arrow
IPC stream.
"""

from __future__ import annotations

import json
import os
import sys

_ALLOWED = ("SELECT", "EXPLAIN", "MULTI")
"""The permitted types of statements; a pivot has the type MULTI."""
_THREADS = 4


def main() -> None:
    """Run the statement from standard input."""
    import duckdb
    import pyarrow as pa

    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    request = json.loads(stdin.readline())
    tables = {name: pa.ipc.open_stream(pa.py_buffer(stdin.read(size))).read_all() for name, size in request["views"]}
    config: dict[str, str | bool | int | float | list[str]] = {
        # The statement may only query the trace: no files, no extensions, and within its limits.
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "max_temp_directory_size": "0GB",
        "memory_limit": f"{request['memory'] // 1000}KB",
        "threads": str(min(_THREADS, os.cpu_count() or 1)),
    }
    answer: dict[str, str] = {}
    result = None
    try:
        connection = duckdb.connect(":memory:", config=config)
        for name, table in tables.items():
            connection.register(name, table)
        if "calls" in tables:
            connection.execute("create view trace as select * from calls")
        connection.execute("set lock_configuration = true")
        statements = duckdb.extract_statements(request["statement"])
        if len(statements) != 1 or statements[0].type.name not in _ALLOWED:
            answer = {"refused": statements[0].type.name.lower() if len(statements) == 1 else str(len(statements))}
        else:
            _bound_memory(request["memory"])
            relation = connection.sql(request["statement"])
            result = None if relation is None else relation.to_arrow_table()
    except duckdb.Error as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": "Out of Memory Error"}
    stdout.write(json.dumps(answer).encode() + b"\n")
    if result is not None:
        with pa.ipc.new_stream(stdout, result.schema) as writer:
            writer.write_table(result)
    stdout.flush()
    os._exit(0)  # without waiting for threads of DuckDB


def _bound_memory(count: int) -> None:
    """Limit the process to `count` more bytes of memory."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return  # then only DuckDB's own limit applies
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (now + 2 * count, hard))


if __name__ == "__main__":
    main()
