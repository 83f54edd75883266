"""The kinds of claims, a file for each part of a run that they are about."""
