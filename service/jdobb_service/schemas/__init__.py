"""Wire models: what requests and responses look like, one module per resource."""
