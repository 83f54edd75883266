"""The native path: a small C library answers hot calls and writes every record of a run."""
