"""The plots: each shows the run's own figures. The data drawn is compared, never pixels."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import pytest

from wasilab.views.plots import by_call
from wasilab.views.plots import things as plots_things
from wasilab.views.plots.figures import canvas
from wasilab.views.plots.ink import label
from wasilab.views.plots.plot_options import PlotOptions
from wasilab.views.plots.plots import KINDS, PlotError, kinds, plot, plots
from wasilab.views.plots.themed import png
from wasilab.views.timeline.columns import Columns

ALONE = [kind for kind in KINDS if kind != "compare"]


@pytest.mark.parametrize("kind", ALONE)
@pytest.mark.parametrize("calls", [0, 1, 20_000])
def test_every_plot_draws_any_run_with_labels(many_run: Any, kind: str, calls: int) -> None:
    fig = plot(many_run(calls), kind)
    axes = fig.axes[0]
    assert axes.get_title(loc="left")
    assert png(fig).startswith(b"\x89PNG")
    if calls and kind not in ("transitions", "refusals"):
        assert axes.get_xlabel()


@pytest.mark.parametrize("kind", ALONE)
def test_every_plot_draws_into_given_axes(copy_run: Any, kind: str) -> None:
    fig, axes = canvas(None, (6, 4))
    assert plot(copy_run, kind, ax=axes) is fig
    assert len(fig.axes) == 1
    assert axes.has_data() or axes.texts


def test_an_unknown_kind_names_the_nearest_and_all() -> None:
    with pytest.raises(PlotError, match=r"did you mean 'latency'\? the kinds are timeline, counts"):
        plot(None, "latencies")
    with pytest.raises(PlotError, match="the kinds are timeline, counts"):
        plot(None, "qqqqqq")
    assert set(kinds()) == set(KINDS)


def widths(axes: Any) -> dict[str, float]:
    names = [text.get_text() for text in axes.get_yticklabels()]
    found = dict.fromkeys(names, 0.0)
    for bar in axes.patches:
        if bar.get_height() < 1:
            found[names[round(bar.get_y() + bar.get_height() / 2)]] += bar.get_width()
    return found


def test_counts_are_the_summarys(copy_run: Any) -> None:
    drawn = widths(plot(copy_run, "counts").axes[0])
    assert drawn == {row.call: row.calls for row in copy_run.trace.summary().rows}


def test_latency_ends_at_one_and_at_the_longest_call(many_run: Any) -> None:
    run = many_run(20_000)
    columns = Columns.of(run)
    for line in plot(run, "latency").axes[0].get_lines():
        name = str(line.get_label()).split()[0]
        longest = run.trace.summary()[name].max
        assert line.get_xdata()[-1] == pytest.approx(longest / 1e3)
        assert line.get_ydata()[-1] == 1
        times, part = by_call.ecdf(columns, name, points=50)
        assert len(times) <= 51
        assert (np.diff(part) > 0).all()


def test_box_has_the_median_of_the_trace(many_run: Any) -> None:
    run = many_run(20_000)
    figures = by_call.quartiles(Columns.of(run), "fd_read")
    assert figures["med"] * 1e3 == pytest.approx(np.median(run.trace.filter("call=fd_read")["dur"]))


def test_host_and_guest_time_fill_every_moment(copy_run: Any) -> None:
    _, layers = by_call.shares(Columns.of(copy_run), 50)
    assert np.allclose(sum(layers.values()), 1.0)
    assert set(layers) == {"args", "clock", "random", "path", "fd", "proc", "guest"}


def test_transitions_count_each_pair_of_neighbours(copy_run: Any) -> None:
    names, matrix = by_call.following(Columns.of(copy_run))
    assert matrix.sum() == len(copy_run.trace) - 1
    assert matrix[names.index("fd_read"), names.index("fd_write")] == 12


def test_refusals_are_those_of_the_trace(copy_run: Any) -> None:
    drawn = widths(plot(copy_run, "refusals").axes[0])
    assert sum(drawn.values()) == 2
    assert any("read-only" in words.replace("\n", " ") for words in drawn)


def test_bytes_add_up_to_what_was_moved(copy_run: Any) -> None:
    flows = plots_things.flows(copy_run)
    moved = {(flow.name, flow.writes): int(flow.total[-1]) for flow in flows}
    total = sum(len(f"line {i} of the file\n") for i in range(12))
    assert moved == {("4</data/in.txt>", False): total, ("1<stdout>", True): total}


def test_open_descriptors_follow_opens_and_closes(copy_run: Any) -> None:
    times, counts = plots_things.open_counts(copy_run)
    assert counts.tolist() == [0, 1, 2, 3, 4, 5, 4]
    opened = copy_run.trace.filter("call=path_open ok")["t_end"][0]
    assert times[-2] == opened


def test_gantt_marks_refused_calls_and_only_them(copy_run: Any) -> None:
    axes = plot(copy_run, "gantt").axes[0]
    marked = [float(x) for line in axes.lines if line.get_marker() == "x" for x in line.get_xdata()]
    refused = copy_run.trace.filter("refused")
    on_descriptors = refused.column("t_start")[refused.column("handle") > 0]
    assert len(marked) == len(on_descriptors) > 0
    assert f"{len(marked)} refused call" in axes.get_title(loc="left")


def test_gantt_has_a_bar_a_descriptor_from_open_to_close(copy_run: Any) -> None:
    axes = plot(copy_run, "gantt").axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names[0] == "4</data/in.txt>"
    assert len(axes.patches) == 5
    closed = copy_run.trace.filter("call=fd_close")["t_end"][0] / 1e3
    assert axes.patches[0].get_x() + axes.patches[0].get_width() == pytest.approx(closed)


def test_paths_sum_what_lies_below(copy_run: Any) -> None:
    found = plots_things.directories(copy_run)
    assert found["/data"] == found["/"]
    assert "/data" in plots_things.branches(found)
    assert "/" not in plots_things.branches(found)
    by_bytes = plots_things.directories(copy_run, "bytes")
    assert by_bytes["/data"] == sum(len(f"line {i} of the file\n") for i in range(12))
    with pytest.raises(ValueError, match="'calls' or by 'bytes'"):
        plot(copy_run, "paths", by="weight")


def test_compare_says_what_only_one_run_did(copy_run: Any, many_run: Any) -> None:
    axes = plot(copy_run, "compare", other=many_run(7)).axes[0]
    notes = [text.get_text() for text in axes.texts]
    assert "only in the first: 1" in notes
    with pytest.raises(ValueError, match="needs a second run"):
        plot(copy_run, "compare")


def test_the_overview_is_one_page_of_eight_plots(copy_run: Any) -> None:
    fig = plots(copy_run)
    assert len(fig.axes) == 8
    assert fig._repr_mimebundle_()["image/png"].startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_labels_draw_guest_text_as_it_is(evil_run: Any) -> None:
    assert label("a$b$\u202e") == r"a\$b\$\u202e"
    assert label("日\U0001f980") == r"\u65e5\u1f980"
    for kind in ("paths", "refusals", "gantt", "bytes"):
        fig = plot(evil_run, kind)
        for text in (t.get_text() for axes in fig.axes for t in [*axes.get_yticklabels(), *axes.texts]):
            assert "\u202e" not in text
            assert "\x1b" not in text


def test_drawing_leaves_pyplot_alone(copy_run: Any) -> None:
    import subprocess
    import sys

    code = "import sys, wasilab.views.plots.plots, wasilab.views.report.report; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_an_option_that_a_kind_does_not_have_is_named_with_those_it_has(copy_run: Any) -> None:
    known = {name for draw, _ in KINDS.values() for name in signature(draw).parameters} - {"run", "ax"}
    assert set(PlotOptions.__annotations__) == known
    with pytest.raises(PlotError, match="the plot 'paths' has no option 'other'; it has by"):
        plot(copy_run, "paths", other=copy_run)
    with pytest.raises(PlotError, match="the plot 'counts' has no option 'by'; it has none"):
        plot(copy_run, "counts", by="bytes")
