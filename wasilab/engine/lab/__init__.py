"""Instances that call each other: functions of one are imports of another, and descriptors pass as arguments."""
