"""The architectures of the catalogue, by the library that builds them."""
