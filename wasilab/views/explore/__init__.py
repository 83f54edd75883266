"""What an unknown module is, can ask for and does in a first run without grants."""
