"""The file formats of a trace, one module each, chosen by suffix (`suffixes.py`).

    .wtrace   lossless, NumPy only; also the recorder's spool              .csv      a table for spreadsheets
    .jsonl    lossless, one call a line                                    .strace   strace's text
    .parquet  lossless, columnar, compact (extra `arrow`)                  .pftrace  Perfetto: ui.perfetto.dev
                                                                           .json     Chrome's trace viewer
The first three can be loaded again; the others are for other tools. Each module has `write(calls, file)`, and those of
the readable formats `read(path)`.
"""
