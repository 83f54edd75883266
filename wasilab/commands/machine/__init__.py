"""Commands about this machine: doctor, cache."""
