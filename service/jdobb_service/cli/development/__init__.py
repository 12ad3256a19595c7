"""``jdobb dev``: a service in a process of its own, started anew whenever the code changes."""
