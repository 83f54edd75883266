"""WebAssembly's script language: the runner, hostile scripts, and the public suites where a folder is named."""
