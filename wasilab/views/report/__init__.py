"""The report of a run: text, HTML, a page."""
