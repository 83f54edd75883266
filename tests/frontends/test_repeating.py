"""What `--repeat` says: the spread of several runs, and a histogram that holds every one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasilab.commands.programs.repeats import BARS, BINS, DRAWN_FROM, Turn, distribution, histogram


def turns(*seconds: float, calls: int = 2) -> list[Turn]:
    return [Turn(one, calls, 0) for one in seconds]


def test_a_few_runs_are_one_line() -> None:
    said = distribution([Turn(0.003, 5, 0), Turn(0.001, 4, 0), Turn(0.002, 4, 7)])
    assert said == "3 runs: time 1.00 ms at best, 2.00 ms median, 3.00 ms at worst; calls 4 to 5; exit status 0, 7"


def test_many_runs_are_drawn_as_well() -> None:
    line, bars = distribution(turns(*(0.001 + 0.0001 * n for n in range(40)), 9.0)).split("\n")
    assert line.startswith("41 runs: ")
    assert line.endswith("calls 2 each; exit status 0")
    assert bars.startswith("  1.00 ms |")
    assert bars.endswith("| 4.70 ms, 3 beyond it")


def test_equal_times_are_one_bar() -> None:
    assert histogram([0.5] * 10).startswith(f"  500 ms |{BARS[-1]}{' ' * (BINS - 1)}|")


@given(st.lists(st.floats(0, 1e4, allow_subnormal=False), min_size=DRAWN_FROM, max_size=200))
def test_a_histogram_has_a_bar_where_there_is_a_run(times: list[float]) -> None:
    times.sort()
    bars = histogram(times).split("|")[1]
    assert len(bars) == BINS
    assert bars[0] != " "
    assert max(bars.strip()) == BARS[-1]
    assert set(bars) <= set(BARS + " ")


@pytest.mark.parametrize("count", [8, 20, 21, 400])
def test_every_run_is_inside_or_counted_as_beyond(count: int) -> None:
    text = histogram([float(n) for n in range(count)])
    beyond = int(text.split(", ")[1].split(" ")[0]) if "beyond" in text else 0
    assert beyond == count - max(count * 19 // 20, 1)
