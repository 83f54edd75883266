"""Many runs of one program: failing each of its calls once, and parameter sweeps."""
