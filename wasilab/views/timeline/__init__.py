"""The timeline as pictures: columns, shapes, and the back ends that draw them."""
