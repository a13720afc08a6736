"""The open-loop request generator: demo traffic and squeeze. Its latencies are free of coordinated omission."""

from include.loadgen.counters import Counters, FailureSample
from include.loadgen.generator import Generator
from include.loadgen.histogram import Histogram
from include.loadgen.loop import new_event_loop
from include.loadgen.mix import Mix, MixEntry
from include.loadgen.plan import Plan, Target

__all__ = ["Counters", "FailureSample", "Generator", "Histogram", "Mix", "MixEntry", "Plan", "Target", "new_event_loop"]
