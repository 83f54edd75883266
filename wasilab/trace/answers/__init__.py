"""What can be asked of a trace: summary, descriptors, refusals, differences."""
