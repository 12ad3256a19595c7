"""What parts of ours are measured against that are no queues: the least that does such work at all."""
