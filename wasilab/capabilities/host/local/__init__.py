"""What joins two programs of this process: pipes and channels."""
