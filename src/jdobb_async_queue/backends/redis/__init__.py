"""Jobs in Redis."""

from jdobb_async_queue.backends.redis.backend import RedisBackend

__all__ = ["RedisBackend"]
