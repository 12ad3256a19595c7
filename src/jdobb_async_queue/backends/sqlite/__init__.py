"""Jobs in an SQLite file: any number of processes of one machine on one queue, without a server."""

from jdobb_async_queue.backends.sqlite.backend import SQLiteBackend

__all__ = ["SQLiteBackend"]
