"""Running handlers: a worker and the loops that it is made of."""

from jdobb_async_queue.worker.context import JobContext
from jdobb_async_queue.worker.worker import Worker

__all__ = ["JobContext", "Worker"]
