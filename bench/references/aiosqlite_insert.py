"""One aiosqlite transaction per insert: SQLite as it is used without batches."""

from __future__ import annotations

import json
import uuid

import aiosqlite

from bench.peers import speaking
from bench.peers.speaking import PAYLOAD, request


class Insert(speaking.AsyncPeer):
    """A table with an index, as the least queue needs."""

    async def open(self) -> None:
        """Connect."""
        self._connection = await aiosqlite.connect(request["path"], isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=WAL",
            f"PRAGMA synchronous={request['synchronous']}",
            "CREATE TABLE jobs (id TEXT PRIMARY KEY, job_type TEXT, status TEXT, data TEXT) WITHOUT ROWID",
            "CREATE INDEX jobs_by_status ON jobs (status, job_type)",
        ):
            await self._connection.execute(statement)

    async def enqueue(self, job: str) -> str:
        """Insert one row; a statement alone is a transaction."""
        job_id = str(uuid.uuid4())
        row = (job_id, job, "pending", json.dumps(PAYLOAD))
        await self._connection.execute("INSERT INTO jobs VALUES (?, ?, ?, ?)", row)
        return job_id


if __name__ == "__main__":
    speaking.main(Insert)
