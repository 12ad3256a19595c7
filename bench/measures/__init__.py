"""One module for each measure: what it runs, and which quantities come of it."""
