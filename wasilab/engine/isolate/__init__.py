"""The walls around a run in a process of its own, and the messages between that process and ours."""
