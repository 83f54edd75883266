"""Commands that take a program: run, compile, inspect, demo, template."""
