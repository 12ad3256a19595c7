"""What POST /jobs costs beside a FastAPI endpoint that does nothing, on the same uvicorn.

    python bench/post_job.py sqlite memory

Each server runs in a process of its own and is asked over keep-alive connections, in turn, several times.
The figures are medians: requests per second, and the server's processor time for one request. Compare the
ratios: the clients use the same processors.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BODY = b'{"job_type":"noop","data":{"path":"/data/in/file.pdf","options":{"pages":[1,2,3],"dpi":300}}}'
_TICK = os.sysconf("SC_CLK_TCK")

NOTHING = """
import sys
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

class Job(BaseModel):
    job_type: str
    data: dict

app = FastAPI()

@app.post("/jobs", status_code=201)
async def submit(job: Job) -> Job:
    return job

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
"""


@contextmanager
def running(name: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Run a server; give its port and process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    if name == "nothing":
        command = [sys.executable, "-c", NOTHING, str(port)]
    else:
        url = "memory://" if name == "memory" else f"sqlite:///{folder / 'jobs.db'}"
        command = [str(Path(sys.executable).with_name("jdobb")), "serve", "--no-workers", "--port", str(port)]
        command += ["--backend-url", url]
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - ours
    try:
        wait_for(port, process)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when something listens."""
    ends = time.monotonic() + 20
    while time.monotonic() < ends and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


async def post(port: int, requests: int, connections: int) -> float:
    """Return requests per second."""
    request = (
        f"POST /jobs HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY
    left = iter(range(requests))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 201 " not in head[:20]:
                raise SystemExit(head.decode())
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return requests / (time.perf_counter() - begun)


def cpu(pid: int) -> float:
    """Return the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def main() -> None:
    """Measure in turn, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", nargs="+", choices=["memory", "sqlite"])
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    names = ["nothing", *arguments.backends]
    rates: dict[str, list[float]] = {name: [] for name in names}
    costs: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(arguments.rounds):
            for name in names:
                place = Path(folder, str(turn))
                place.mkdir(exist_ok=True)
                with running(name, place) as (port, pid):
                    asyncio.run(post(port, 500, arguments.connections))
                    before = cpu(pid)
                    rates[name].append(asyncio.run(post(port, arguments.requests, arguments.connections)))
                    costs[name].append((cpu(pid) - before) / arguments.requests * 1e6)
    print("server    requests/s  ratio   processor us  ratio")
    base = statistics.median(rates["nothing"]), statistics.median(costs["nothing"])
    for name in names:
        rate, cost = statistics.median(rates[name]), statistics.median(costs[name])
        print(f"{name:10}{rate:10,.0f} {rate / base[0]:6.2f} {cost:14.0f} {base[1] / cost:6.2f}")


if __name__ == "__main__":
    main()
