"""What lives in a component instance while it runs: handles, tasks, waitables, streams, and the fibers they run on."""
