"""Endpoints, one module per resource: parse, one call of the library, map the answer."""
