"""`wasi:sockets` 0.2 and 0.3: TCP, UDP and name lookup."""
