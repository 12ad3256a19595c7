"""What a run takes place on: processes, stores, and their power."""
