"""The database's form: made at the first opening, brought up to date at later ones."""

from __future__ import annotations

import sqlite3

from jdobb_async_queue.backends.sqlite.queries import SQL, read_sql
from jdobb_async_queue.errors import BackendError, SchemaTooNew

APPLICATION_ID = 0x6A646F62
"""``jdob``: marks the file as ours."""
MAJOR, MINOR = 1, 0
"""A newer minor version works with this code; a newer major version does not."""
_PER_MAJOR = 1000


def migrate(connection: sqlite3.Connection, namespace: str) -> int:
    """Make or check the tables under the write lock; return the namespace's number.

    Raises ``SchemaTooNew`` or ``BackendError``, and leaves the file as it is then.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not check(connection):
            _create(connection)
        number = _namespace(connection, namespace)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return number


def check(connection: sqlite3.Connection) -> bool:
    """Tell whether the database has its tables; an empty one has none yet.

    Raises ``SchemaTooNew`` or ``BackendError`` when it is not for this code to change. Nothing is written.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == 0 and version == 0 and not _has_tables(connection):
        return False
    if application != APPLICATION_ID:
        raise BackendError(
            "the file is an SQLite database, but not one of jdobb-async-queue; it is left as it is"
        )
    if version // _PER_MAJOR > MAJOR:
        raise SchemaTooNew(
            f"the database has schema {version // _PER_MAJOR}.{version % _PER_MAJOR}, this release knows "
            f"{MAJOR}.{MINOR}: use a newer release; the file is left as it is"
        )
    return True


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None


def _create(connection: sqlite3.Connection) -> None:
    for statement in _statements(read_sql("schema.sql")):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={MAJOR * _PER_MAJOR + MINOR}")


def _statements(text: str) -> list[str]:
    found: list[str] = []
    part = ""
    for line in text.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            found.append(part)
            part = ""
    return found


def _namespace(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute(SQL["namespace"], (name,)).fetchone()
    if row is not None:
        return int(row[0])
    return int(connection.execute(SQL["insert_namespace"], (name,)).lastrowid or 0)
