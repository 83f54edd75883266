"""Commands that take a trace: trace, sql, diff, advise."""
