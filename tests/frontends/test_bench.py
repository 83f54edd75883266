"""`bench`: the guests do what is measured, the table holds what was measured, and wrong words are answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wasilab.cli import main
from wasilab.commands.machine.bench_guest import BATCH, CALLS, FILE, WARM, guest
from wasilab.commands.machine.call_costs import PEERS, TITLES, TRACED, Figures, Peer, Times, lines, measure, ours
from wasilab.module.module import load


@pytest.mark.parametrize("call", CALLS)
def test_a_guest_makes_its_call_as_often_as_it_says(call: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(bytes(16 * (WARM + 3 * BATCH)))
    module = load(guest(call, BATCH).encode())
    seen: list[Times] = [ours(native=native)(module, tmp_path, BATCH) for native in (True, False)]
    for times in seen:
        assert len(times.batches) == 1
        assert 0 < times.batches[0] < 60_000_000_000


def test_the_table_has_a_column_a_call_and_names_an_absent_host() -> None:
    numbers = iter([Times([5_000, 5_000, 20_000], 0), Times([6_000, 10_000, 74_000], 60_000)])
    peers = (
        Peer(TRACED, 3 * BATCH, lambda *_: next(numbers)),
        Peer("node:wasi, no trace", 2 * BATCH, lambda *_: Times([20_000, 20_000], 8_000)),
        Peer("somewhere else", BATCH, lambda *_: None),
    )
    *_, (_, table) = measure(["fd_tell"], 2, peers)
    found = table["fd_tell"][TRACED]
    assert isinstance(found, Figures)
    assert [found.judged(by) for by in TITLES] == [10, 16, 40, 40]
    text = [line.split() for line in lines(table, "best")]
    assert text[0][-1] == "fd_tell"
    assert text[1][-1] == "10"
    assert text[3][-1] == "-"
    assert text[4][-1] == "0.25x"


def test_bench_measures_every_host_that_is_installed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "clock_time_get", "--rounds", "1", "--json"]) == 0
    (column,) = json.loads(capfd.readouterr().out).values()
    assert list(column) == [peer.label for peer in PEERS]
    for label, figures in column.items():
        if not label.startswith("node"):
            assert 0 < figures["best"] <= min(figures["median"], figures["mean"]), label
            assert figures["cpu"] > 0, label


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fd_tel"], "bench measures no call 'fd_tel'; it measures clock_time_get, fd_tell"),
        (["--rounds", "0"], "at least 1"),
        (["--by", "worst"], "worst"),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(
    words: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *words]) == 2
    assert said in capfd.readouterr().err
