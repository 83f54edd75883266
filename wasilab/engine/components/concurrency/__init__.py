"""The run-time state of a component instance: handles, tasks, waitables, streams, and the fibers they run on."""
