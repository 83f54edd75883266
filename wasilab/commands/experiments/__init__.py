"""Commands that run a program again, or many times: replay, inject, sweep."""
