"""The grammar that the command line and the magics share."""
