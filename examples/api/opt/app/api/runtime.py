"""Gauges of this process, read once a period; those of load are integrated over it."""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
from time import perf_counter, process_time

from api.metrics import Series, quantile

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Load:
    """Work in hand: waiting for a place, being worked on, and the mean of the latter over the period."""

    def __init__(self) -> None:
        self.waiting = self.in_flight = 0
        self._area = 0.0
        self._since = self._changed = perf_counter()
        self._start_period()

    def _start_period(self) -> None:
        self.queue_depth_max, self.in_flight_max = self.waiting, self.in_flight
        self.queue_waits_ms: list[float] = []
        self.rejected = 0

    def queue(self) -> None:
        self.waiting += 1
        self.queue_depth_max = max(self.queue_depth_max, self.waiting)

    def leave_queue(self, waited_seconds: float) -> None:
        self.waiting -= 1
        self.queue_waits_ms.append(waited_seconds * 1000)

    def begin(self) -> None:
        self._advance()
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)

    def end(self) -> None:
        self._advance()
        self.in_flight -= 1

    def series(self) -> Series:
        """The period's series; begins the next period."""
        self._advance()
        yield "runtime.load_average", self._area / max(self._changed - self._since, 1e-9)
        yield "runtime.in_flight_max", self.in_flight_max
        yield "runtime.queue_depth_max", self.queue_depth_max
        yield "runtime.queue_wait_max_ms", max(self.queue_waits_ms, default=0.0)
        yield "runtime.rejected", self.rejected
        self._area, self._since = 0.0, self._changed
        self._start_period()

    def _advance(self) -> None:
        now = perf_counter()
        self._area += self.in_flight * (now - self._changed)
        self._changed = now


class Runtime:
    """CPU, memory, garbage collection, files and threads; call `lag` with each measured lag of the event loop."""

    def __init__(self) -> None:
        self._lags_ms: list[float] = []
        self._pause_began = self._pause_seconds = 0.0
        self._collections = 0
        self._cpu, self._wall = process_time(), perf_counter()
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        gc.callbacks.append(self._on_collection)

    def close(self) -> None:
        gc.callbacks.remove(self._on_collection)

    def lag(self, seconds: float) -> None:
        self._lags_ms.append(max(seconds, 0.0) * 1000)

    def series(self) -> Series:
        """The period's series; begins the next period."""
        cpu, wall = process_time(), perf_counter()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
            pages = file.read().split()
        lags = sorted(self._lags_ms)
        yield "runtime.cpu_pct", 100 * (cpu - self._cpu) / max(wall - self._wall, 1e-9)
        yield "runtime.memory_rss_bytes", int(pages[1]) * PAGE_BYTES
        yield "runtime.memory_virtual_bytes", int(pages[0]) * PAGE_BYTES
        yield "runtime.heap_objects", sys.getallocatedblocks()
        yield "runtime.gc_collections", self._collections
        yield "runtime.gc_pause_ms", self._pause_seconds * 1000
        yield "runtime.threads", threading.active_count()
        yield "runtime.open_files", len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        yield "runtime.page_faults", usage.ru_minflt + usage.ru_majflt - self._usage.ru_minflt - self._usage.ru_majflt
        yield "runtime.context_switches_forced", usage.ru_nivcsw - self._usage.ru_nivcsw
        if lags:
            yield "runtime.event_loop_lag_p99_ms", quantile(lags, 0.99)
            yield "runtime.event_loop_lag_max_ms", lags[-1]
        self._lags_ms.clear()
        self._cpu, self._wall, self._usage = cpu, wall, usage
        self._collections, self._pause_seconds = 0, 0.0

    def _on_collection(self, phase: str, _details: dict[str, int]) -> None:
        if phase == "start":
            self._pause_began = perf_counter()
        else:
            self._collections += 1
            self._pause_seconds += perf_counter() - self._pause_began
