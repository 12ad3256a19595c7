"""One program for each queue that is measured, run by the Python or Node of an environment of its own."""
