"""`wasi:http` 0.2 and 0.3: fields, messages, bodies, and sending requests."""
