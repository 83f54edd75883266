"""Libraries that a compiler builds from source at its first use."""
