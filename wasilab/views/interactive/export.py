"""A run as the bytes of a file, for the timeline's export menu. The formats are those of `trace/formats`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ...text.portable_names import file_name
from ..maps.graph_svg import graph_svg
from ..report.report import to_html
from ..subject import Subject, trace_of
from ..timeline.figure import figure


def file_stem(run: Subject) -> str:
    """The stem of an exported file's name: the run's name, in characters valid on every system."""
    return file_name(run.name, 60).strip("._") or "trace"


def exported(run: Subject, suffix: str) -> tuple[str, bytes]:
    """(file name, content) in the format that `suffix` names, such as ".parquet"; ".html" is the report.

    Raises `trace.TraceError` for an unknown suffix or a missing extra.
    """
    name = f"{file_stem(run)}{suffix}"
    with tempfile.TemporaryDirectory(prefix="wasilab-") as folder:
        path = Path(folder) / name
        if suffix == ".html":
            to_html(run, path)
        elif suffix == ".timeline.svg":
            figure(run).savefig(path)
        elif suffix == ".capabilities.svg":
            path.write_text(graph_svg(run, page=True), encoding="utf-8")
        else:
            trace_of(run).save(path)
        return name, path.read_bytes()
