"""Options and commands like Wasmtime's, besides grants: compiling, profiling, shell completion."""
