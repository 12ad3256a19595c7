"""What networks do to connections: to those of the service, and to those of the Redis server."""

from __future__ import annotations

from abc import abstractmethod

from chaos.faults.base import Fault
from chaos.history import now
from chaos.scene import Scene
from tests.support.proxy import Proxy

_NOTICED_WITHIN = 6.0
"""Seconds after which a client has given up a silent connection to Redis."""


class _Network(Fault):
    family = "network"

    def __init__(self) -> None:
        self._proxy: Proxy | None = None
        self._begun_at = 0.0
        self.is_redis = False
        self.lingers = 0.0
        """Seconds for which clients may suffer from it after it was undone."""

    async def begin(self, scene: Scene) -> float | None:
        """Choose a network and do it there."""
        self.is_redis = scene.store.kind == "redis" and scene.rng.random() < 0.6  # noqa: PLR2004 - more than half
        self._proxy = scene.redis.proxy if self.is_redis else scene.rng.choice(scene.http_proxies)
        self.target = "redis" if self.is_redis else "http"
        self._begun_at = now()
        return self.strike(self._proxy, scene)

    async def undo(self, scene: Scene) -> None:
        """Put the network right."""
        if self._proxy is not None:
            self.release(self._proxy)
            if self.is_redis:
                scene.cause("cut", at=self._begun_at, until=now() + self.lingers)

    @property
    def marker(self) -> bytes:
        """Return what a request holds whose reply is of interest."""
        return b"EVAL" if self.is_redis else b"POST "

    @abstractmethod
    def strike(self, proxy: Proxy, scene: Scene) -> float:
        """Do it, and return how many seconds it lasts."""

    def release(self, proxy: Proxy) -> None:
        """Put it right."""


class Delay(_Network):
    """Late replies."""

    name, what, undone = "delay", "every reply is late by 50 to 300 ms", "replies pass at once again"

    def strike(self, proxy: Proxy, scene: Scene) -> float:
        """Hold replies back."""
        proxy.delay = scene.rng.uniform(0.05, 0.3)
        return scene.rng.uniform(1.0, 3.0)

    def release(self, proxy: Proxy) -> None:
        """Let them pass."""
        proxy.delay = 0.0


class CutReplies(_Network):
    """Connections cut in the middle of a reply."""

    name, what = "cut-reply", "a connection is cut in the middle of a reply"
    undone = "the client connects again"

    def strike(self, proxy: Proxy, scene: Scene) -> float:
        """Cut the next reply after some bytes."""
        proxy.cut_reply(scene.rng.randint(1, 40), marker=self.marker)
        return 0.3

    def release(self, proxy: Proxy) -> None:
        """Cut no more."""
        proxy.lose_replies(0)


class LoseReplies(_Network):
    """Replies lost after the request was carried out."""

    name, what = "lose-replies", "requests are carried out, their replies are lost, their connections cut"
    undone = "replies pass again"

    def strike(self, proxy: Proxy, scene: Scene) -> float:
        """Lose the next replies."""
        proxy.lose_replies(scene.rng.randint(1, 12), marker=self.marker)
        return 1.0

    def release(self, proxy: Proxy) -> None:
        """Lose no more."""
        proxy.lose_replies(0)


class LoseEnqueue(Fault):
    """The answer to an enqueue, lost."""

    name, family = "lose-enqueue", "network"
    what = "a job is enqueued over HTTP, the answer is lost, and the client asks again"
    undone = "the second answer arrives"

    async def begin(self, scene: Scene) -> float | None:
        """Enqueue a job until an answer has been lost on the way."""
        proxy = scene.rng.choice(scene.http_proxies)
        lost = proxy.lost
        while proxy.lost == lost:
            op = scene.client.new_op()
            proxy.lose_replies(1, marker=op.encode())
            await scene.client.post_over(f"http://127.0.0.1:{proxy.port}", op)
            await scene.client.post("quick", op=op)
        self.target = op
        return 0.0

    async def undo(self, scene: Scene) -> None:
        """Lose no more."""
        for proxy in scene.http_proxies:
            proxy.lose_replies(0)


class HalfOpen(_Network):
    """Connections whose peer is gone without a word."""

    name, what = (
        "half-open",
        "all connections that are open now stay, and nothing passes through them any more",
    )
    undone = "new connections are served all along; clients find out by their time-outs"

    def strike(self, proxy: Proxy, scene: Scene) -> float:
        """Strand the present connections."""
        del scene
        proxy.strand()
        self.lingers = _NOTICED_WITHIN
        return 1.0


class Silence(_Network):
    """A network that swallows everything for a while."""

    name, what, undone = "silence", "nothing passes, nothing is refused", "everything passes again, late"

    def strike(self, proxy: Proxy, scene: Scene) -> float:
        """Let nothing pass."""
        proxy.fall_silent()
        return scene.rng.uniform(0.5, 3.0)

    def release(self, proxy: Proxy) -> None:
        """Let everything pass."""
        proxy.heal()


class Cut(_Network):
    """All connections cut at once."""

    name, what, undone = "cut", "all connections are cut at once", "clients connect again"

    def strike(self, proxy: Proxy, scene: Scene) -> float:
        """Cut them."""
        del scene
        proxy.cut()
        return 0.2
