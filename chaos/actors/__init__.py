"""The programs that take part in a run, each a process of its own; ``part`` is what all of them are told."""
