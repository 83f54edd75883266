"""Many runs of one program: each of its calls failed once, sweeps over parameters."""
