"""Facts out of the library, and adapters that turn them into logs."""
