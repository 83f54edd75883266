"""What a person sees: timeline, plots, panel, report (floor 5)."""
