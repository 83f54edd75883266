"""Commands about this machine: doctor, bench, cache."""
