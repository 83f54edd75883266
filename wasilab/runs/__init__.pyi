from .run_changes import RunChanges as RunChanges
