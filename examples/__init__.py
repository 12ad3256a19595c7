"""Example handlers; ``scripts/serve`` runs the router of ``examples.handlers``."""
