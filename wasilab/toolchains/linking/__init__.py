"""What is linked into programs beside their own objects."""
