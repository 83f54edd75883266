"""`wasi:http` 0.2 and 0.3: fields, messages and their bodies, requests that a component sends."""
