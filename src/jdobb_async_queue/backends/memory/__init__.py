"""Jobs in memory."""

from jdobb_async_queue.backends.memory.backend import MemoryBackend

__all__ = ["MemoryBackend"]
