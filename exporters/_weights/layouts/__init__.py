"""The names that other repositories give to the weights of the catalogue's modules, as a table."""
