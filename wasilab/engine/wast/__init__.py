"""WebAssembly's script language (`.wast`): scripts run in a process of their own, assertion by assertion."""
