"""Arguments and results of exports: parsing, formatting, and conversion by type."""
