"""The architectures of the catalogue, grouped by the library that builds them."""
