"""What Wasmtime's own command line has beside grants: how a program is compiled, profiled, completed by a shell."""
