"""Submits tasks to any supported executor, without importing its library.

Anything with `submit` (`concurrent.futures`), a Dask client (`get_executor`), an ipyparallel view or client
(`executor`), a `joblib.Parallel`; with None they run here, one after another.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Foreign = Any
"""An executor or future of a library that is not imported here."""

IN_FLIGHT = 32
"""Maximum pending tasks, so that memory stays bounded."""


class SweepError(ValueError):
    """An invalid sweep; the message names the error and the remedy."""


Task = tuple[Callable[..., Foreign], tuple[Foreign, ...]]
"""A function and its arguments."""


def answers(executor: Foreign, tasks: Iterable[tuple[int, Task]]) -> Iterator[tuple[int, Foreign]]:
    """Yield (key, answer or exception) for each (key, task), in the order of the tasks.

    The next task is taken from `tasks` only when there is room, so the caller can add a task again.
    """
    if executor is None:
        for key, (function, arguments) in tasks:
            yield key, function(*arguments)
        return
    submit = _submit(executor)
    if submit is None:
        listed = list(tasks)
        found = executor([(function, arguments, {}) for _, (function, arguments) in listed])
        yield from zip([key for key, _ in listed], found, strict=True)
        return
    waiting: deque[tuple[int, Foreign]] = deque()
    coming = iter(tasks)
    try:
        while True:
            while len(waiting) < IN_FLIGHT and (following := next(coming, None)) is not None:
                key, (function, arguments) = following
                try:
                    waiting.append((key, submit(function, *arguments)))
                except Exception as error:  # noqa: BLE001  a broken pool says so here: its runs are lost, not the sweep
                    waiting.append((key, error))
            if not waiting:
                return
            key, future = waiting.popleft()
            yield key, _answer(future)
    finally:
        for _, future in waiting:
            if hasattr(future, "cancel"):
                future.cancel()


def _answer(future: Foreign) -> Foreign:
    """The answer of a future, or the error of its worker. Raises `SweepError` for a task that cannot be sent."""
    error = future
    if not isinstance(future, Exception):
        try:
            return future.result()
        except Exception as raised:  # noqa: BLE001  whatever a lost worker raises
            error = raised
    if isinstance(error, (pickle.PicklingError, TypeError, AttributeError)) and "pickle" in str(error).lower():
        raise SweepError(f"the executor cannot send a run to its workers: {error}") from None
    return error


def _submit(executor: Foreign) -> Callable[..., Foreign] | None:
    """The function that submits a task; None for one that takes a list of tasks (joblib)."""
    if hasattr(executor, "get_executor"):  # a Dask client: its own `submit` would merge equal tasks
        executor = executor.get_executor(pure=False)
    elif hasattr(executor, "scatter") and hasattr(executor, "targets"):  # a direct view runs a task on all its engines
        executor = executor.client.load_balanced_view(executor.targets).executor
    elif not hasattr(executor, "submit") and hasattr(executor, "executor"):
        executor = executor.executor() if callable(executor.executor) else executor.executor
    submit = getattr(executor, "submit", None)
    if submit is None and not (callable(executor) and hasattr(executor, "n_jobs")):
        raise SweepError(
            f"{type(executor).__name__} is not an executor: use one of concurrent.futures, a Dask client, an "
            "ipyparallel view, a joblib.Parallel, or None"
        )
    return submit if submit is None or callable(submit) else None
