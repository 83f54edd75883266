from .changes import Changes as Changes
