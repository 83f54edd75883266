"""The file formats of a trace, one file each, found by suffix (`suffixes.py`).

    .wtrace   lossless, NumPy only: what the recorder's spool is, too      .csv      a table for spreadsheets
    .jsonl    lossless, one call a line                                    .strace   strace's text
    .parquet  lossless, columnar, compact (extra `arrow`)                  .pftrace  Perfetto: ui.perfetto.dev
                                                                           .json     Chrome's trace viewer
The first three can be loaded again; the others are for other people's tools. Each module has `write(calls, file)`, and
those that can be read `read(path)`.
"""
