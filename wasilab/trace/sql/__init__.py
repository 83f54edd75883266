"""A trace as tables of other libraries: Arrow, pandas, and SQL over them."""
