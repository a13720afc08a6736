"""How punctual the load generator is and what it costs, at the demo's rate and at the squeeze's. About 30 seconds.

    python benchmarks/bench_loadgen.py [--rates 240,1000,5000] [--seconds 8]

The server answers at once, in a process of its own. Yardstick of the same run: a bare asyncio loop (uvloop where it
is installed) that only sleeps until Poisson moments of the same rate and does nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from math import ceil
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from include.loadgen import Generator, Histogram, Mix, MixEntry, Plan, Target, new_event_loop  # noqa: E402

PORT = 28361
SERVER = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from include.loadgen import new_event_loop
ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\nx-served-by: g/i/v\\r\\n\\r\\nok"
class Site(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data): self.transport.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Site, "127.0.0.1", int(sys.argv[2]))
    print("up", flush=True)
    await server.serve_forever()
with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
"""


async def bare(rps: float, seconds: float) -> Histogram:
    """Lateness of a loop that has nothing else to do."""
    rng, late, now = Random(1), [], time.perf_counter()
    due, end = now, now + seconds
    loop = asyncio.get_running_loop()
    while due < end:
        due += rng.expovariate(rps)
        while (left := due - time.perf_counter()) > 0:
            woken = loop.create_future()
            loop.call_later(ceil(left * 1000) / 1000, woken.set_result, None)
            await woken
        late.append((time.perf_counter() - due) * 1000)
    return Histogram.of(late)


async def measured(rps: float, seconds: float) -> Generator:
    mix = Mix((MixEntry("/titles/{n}", 3), MixEntry("/home")), {"n": range(5000)})
    generator = Generator(Plan((Target("127.0.0.1", PORT),), rps, mix, seed=1))
    await generator.run_for(seconds)
    return generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="240,1000,5000")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(ROOT), str(PORT)], stdout=subprocess.PIPE)
    assert server.stdout is not None and server.stdout.readline() == b"up\n"
    head = (
        "rps",
        "sent",
        "failed",
        "late p50",
        "p99",
        "max",
        "bare p50",
        "p99",
        "latency p50",
        "p99",
        "CPU %",
        "us each",
    )
    print("  ".join(f"{word:>11}" for word in head) + "   (times in ms)")
    try:
        for rps in (float(rate) for rate in options.rates.split(",")):
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                idle = runner.run(bare(rps, options.seconds / 2))
                cpu, began = time.process_time(), time.perf_counter()
                counters = runner.run(measured(rps, options.seconds)).counters()
                cpu, took = time.process_time() - cpu, time.perf_counter() - began
            late, latency = counters.lateness, counters.latency
            figures = [rps, counters.sent, counters.failed, late.quantile(0.5), late.quantile(0.99), late.maximum_ms]
            figures += [idle.quantile(0.5), idle.quantile(0.99), latency.quantile(0.5), latency.quantile(0.99)]
            figures += [100 * cpu / took, cpu / counters.sent * 1e6]
            print("  ".join(f"{figure:11.2f}" if figure % 1 else f"{figure:11.0f}" for figure in figures), flush=True)
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
