from .run_changes import RunChanges as RunChanges
from .run_diff import RunDiff as RunDiff
