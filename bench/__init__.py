"""How fast the project is beside its peers; started by `scripts/bench`."""
