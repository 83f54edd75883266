"""Grading a folder of notebooks.

`submissions.py` reads them as text, `grader.py` runs what they hold, `grades.py` makes the table.
"""
