"""The queue as programs use it: validation and policy, then one call of the backend."""

from jdobb_async_queue.queue.queue import JobQueue

__all__ = ["JobQueue"]
