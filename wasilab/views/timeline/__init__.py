"""The timeline as pictures: columns, shapes, and what draws them."""
