"""Wakes idle claimers of this process: it blocks until a marker can be popped; see ``lua/wake.lua``."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from redis import exceptions

from jdobb_async_queue.backends.bells import ANY_TYPE, type_topic
from jdobb_async_queue.backends.redis.connection import end
from jdobb_async_queue.backends.redis.pool import timeout
from jdobb_async_queue.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from jdobb_async_queue.backends.bells import Bells
    from jdobb_async_queue.backends.redis.connection import Connection
    from jdobb_async_queue.backends.redis.pool import CallPool

logger = logging.getLogger("jdobb_async_queue")

BLOCK = 75.0
"""Seconds of one blocking call."""
GRACE = 2.0
"""Seconds more within which its answer must come."""
_RETURN_WITHIN = 1.0
_TURNS = 4
"""Turns of the event loop in which a claimer that was woken sends its claim, or starts what it got."""
_PUT_OFF = 0.02
"""Seconds for which a blocking call is put off at most because others of this process claim."""
_REMEMBERED = 100
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_TYPE = "type:"


class Waker:
    """One blocking connection per process, used only while somebody waits for a job type.

    A marker that nobody here waits for any more goes back, for the next process: at once, or when the last
    who waited leaves. It may have learnt of a job that is due later, and then nobody else has. Redis's server
    may be gone without a word: every call has a deadline of its own, whoever waits looks again by itself.
    """

    def __init__(self, connection: Connection, prefix: str, bells: Bells) -> None:
        self._connection, self._prefix, self._bells = connection, prefix, bells
        self._watched: dict[str, int] = {}
        self.blocked_on: frozenset[str] = frozenset()
        """The keys of the blocking call that is under way."""
        self._wanted = asyncio.Event()
        self._claims = 0
        self._no_claim = asyncio.Event()
        self._no_claim.set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._popped: set[str] = set()
        """The markers that were popped here, and which no claim has set again as it had to."""
        self._lately: dict[str, None] = {}
        """The keys that were popped last, latest at the end."""
        self._returns: set[asyncio.Task[None]] = set()

    def watch(self, topic: str) -> None:
        """Begin to wait for a job type, or for any."""
        key = self._key(topic)
        self._watched[key] = self._watched.get(key, 0) + 1
        if key not in self.blocked_on:
            self._changed.set()
        self._wanted.set()
        if self._task is None and not self._connection.is_closing:
            self._task = asyncio.ensure_future(self._run())

    def unwatch(self, topic: str) -> None:
        """End what ``watch`` began."""
        key = self._key(topic)
        self._watched[key] -= 1
        if not self._watched[key]:
            del self._watched[key]
            if key in self._popped:
                self._return(key)
        if not self._watched:
            self._wanted.clear()

    @contextlib.contextmanager
    def claiming(self) -> Iterator[None]:
        """Begin no blocking call meanwhile: whoever gets all it asked for waits no more."""
        self._claims += 1
        self._no_claim.clear()
        try:
            yield
        finally:
            self._claims -= 1
            if not self._claims:
                self._no_claim.set()

    def settle(self, job_types: Sequence[str] | None) -> None:
        """Note that a claim got all it asked for: its script has set the markers that others need."""
        topics = [ANY_TYPE] if job_types is None else map(type_topic, job_types)
        self._popped.difference_update(map(self._key, topics))

    async def close(self) -> None:
        """Give markers back and end the connection."""
        if self._task is not None:
            await end(self._task)
            self._task = None
        for key in list(self._popped):
            self._return(key)
        if self._returns:
            await asyncio.wait(self._returns, timeout=_RETURN_WITHIN)

    def _key(self, topic: str) -> str:
        return self._prefix + ("wake" if topic == ANY_TYPE else f"wake:{topic.removeprefix(_TYPE)}")

    def _topic(self, key: str) -> str:
        name = key.removeprefix(self._prefix)
        return ANY_TYPE if name == "wake" else _TYPE + name.removeprefix("wake:")

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            pool = self._connection.new_pool()
            try:
                while True:
                    await self._need()
                    await self._wait_once(pool)
                    pause = _FIRST_PAUSE
            except (BackendUnavailable, exceptions.RedisError, OSError, asyncio.TimeoutError) as error:
                self._connection.tell_broken("the blocking connection (BZPOPMIN)", error)
            except Exception:
                logger.exception("the blocking connection broke off, connecting again")
            finally:
                await pool.close()
            self._ring_all()
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    async def _need(self) -> None:
        """Return when somebody waits; jobs wait for claims, so those go first, but not for ever."""
        while True:
            await self._wanted.wait()
            with contextlib.suppress(asyncio.TimeoutError):
                async with timeout(_PUT_OFF):
                    await self._claims_end()
            if self._wanted.is_set():
                return

    async def _claims_end(self) -> None:
        while True:
            await self._no_claim.wait()
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if self._no_claim.is_set():
                return

    async def _wait_once(self, pool: CallPool) -> None:
        """Pop one marker, or give up when the block ends or other types are waited for."""
        self._changed.clear()
        self.blocked_on = frozenset(self._watched)
        arguments = ["BZPOPMIN", *self._in_turn(self.blocked_on), f"{BLOCK:g}"]
        popping = asyncio.ensure_future(pool.call(arguments, BLOCK + GRACE))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait([popping, changed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.blocked_on = frozenset()
            changed.cancel()
            if not popping.done():
                popping.cancel()
                await asyncio.wait([popping])
        if popping.cancelled():
            self._ring_all()
            return
        popped = popping.result()
        if popped is not None:
            await self._got(popped[0].decode())

    def _in_turn(self, keys: Iterable[str]) -> list[str]:
        """Return keys in the order to look at them: those of busy types are always there, and would win."""
        popped = {key: place for place, key in enumerate(self._lately, 1)}
        return sorted(keys, key=lambda key: (popped.get(key, 0), key))

    async def _got(self, key: str) -> None:
        self._lately.pop(key, None)
        self._lately[key] = None
        if len(self._lately) > _REMEMBERED:
            del self._lately[next(iter(self._lately))]
        if key in self._watched:
            self._popped.add(key)
            self._bells.ring(self._topic(key))
        else:
            await self._put_back(key)

    def _return(self, key: str) -> None:
        """Put a marker back while the caller goes on."""
        self._popped.discard(key)
        task = asyncio.ensure_future(self._put_back(key))
        self._returns.add(task)
        task.add_done_callback(self._returned)

    def _returned(self, task: asyncio.Task[None]) -> None:
        self._returns.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.debug("a marker could not be put back: %s", error)

    async def _put_back(self, key: str) -> None:
        await self._connection.command("ZADD", key, 0, "1")

    def _ring_all(self) -> None:
        for key in self._watched:
            self._bells.ring(self._topic(key))
