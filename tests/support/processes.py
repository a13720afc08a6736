"""Looking at real processes, and small real servers and load, for the system tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

BACKEND = """
import asyncio, sys

async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            path = head.split(b" ", 2)[1].decode()
            if path.startswith("/wait"):
                await asyncio.sleep(float(path.rpartition("/")[2]))
            status = path.rpartition("/")[2] if path.startswith("/status") else "200"
            body = head if path == "/echo" else name.encode()
            writer.write(b"HTTP/1.1 %s X\\r\\nx-backend: %s\\r\\ncontent-length: %d\\r\\n\\r\\n%s"
                         % (status.encode(), name.encode(), len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(serve, address, int(port), backlog=1024)
    await server.serve_forever()

name, address, port = sys.argv[1:]
asyncio.run(main())
"""


def wait_until(is_met: Callable[[], object], *, seconds: float = 10.0, what: str = "") -> None:
    """Look every 10 ms until it is so; AssertionError when it is not after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_met():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or is_met}"
        time.sleep(0.01)


def pids_with(variable: str) -> list[int]:
    """Processes (no zombies) that have `NAME=value` in their environment, this one excepted."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def listening_addresses(pid: int) -> set[tuple[str, int]]:
    """(address, port) of every TCP socket that the process listens on; IPv6 ones as their hexadecimal form."""
    links = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.add(str(fd.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in links:
                address, port = fields[1].split(":")
                found.add((_readable(address), int(port, 16)))
    return found


def _readable(address: str) -> str:
    return ".".join(str(part) for part in reversed(bytes.fromhex(address))) if len(address) == 8 else address


@contextlib.contextmanager
def backend(name: str, address: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A keep-alive HTTP server that says its `name`; paths /status/<code>, /wait/<seconds>, /echo (request head)."""
    process = subprocess.Popen([sys.executable, "-c", BACKEND, name, address, str(port)])
    try:
        wait_until(lambda: (address, port) in listening_addresses(process.pid), what=f"{name} listens")
        yield process
    finally:
        process.kill()
        process.wait()


async def request(address: str, port: int, path: str = "/") -> tuple[int, str]:
    """One request on a connection of its own: status and body."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        return await _exchange(reader, writer, path)
    finally:
        writer.close()


def get(address: str, port: int, path: str = "/", *, seconds: float = 10.0) -> tuple[int, str]:
    return asyncio.run(asyncio.wait_for(request(address, port, path), seconds))


def answers(address: str, port: int) -> int:
    """The status of one request; 0 where nothing can be reached."""
    try:
        return get(address, port)[0]
    except (OSError, asyncio.IncompleteReadError):
        return 0


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> tuple[int, str]:
    writer.write(f"GET {path} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length:")[2].split("\r\n")[0])
    return int(head.split(" ")[1]), (await reader.readexactly(length)).decode()


async def _keep_asking(address: str, port: int, path: str, seen: Counter[str], wants_more: Callable[[], bool]) -> None:
    reader, writer = await asyncio.open_connection(address, port)
    while wants_more():
        try:
            status, body = await asyncio.wait_for(_exchange(reader, writer, path), 10)
            seen[body if status == 200 else f"failed with {status}"] += 1
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            seen[f"failed: {error!r}"] += 1
            writer.close()
            reader, writer = await asyncio.open_connection(address, port)
    writer.close()


def send(address: str, port: int, total: int, *, connections: int = 16, path: str = "/") -> Counter[str]:
    """`total` requests over kept connections: how many each backend answered, and how many failed how."""
    seen: Counter[str] = Counter()
    left = iter(range(total))

    async def run() -> None:
        asking = (
            _keep_asking(address, port, path, seen, lambda: next(left, None) is not None) for _ in range(connections)
        )
        await asyncio.wait_for(asyncio.gather(*asking), 60)

    asyncio.run(run())
    return seen


@contextlib.contextmanager
def load(address: str, port: int, *, connections: int = 8, path: str = "/wait/0.002") -> Iterator[Counter[str]]:
    """Requests without pause for as long as the block runs; the counter is whole when it has ended."""
    seen: Counter[str] = Counter()
    stop = threading.Event()

    async def run() -> None:
        asking = (_keep_asking(address, port, path, seen, lambda: not stop.is_set()) for _ in range(connections))
        await asyncio.gather(*asking)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(20)


def failures(seen: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in seen.items() if name.startswith("failed")}
