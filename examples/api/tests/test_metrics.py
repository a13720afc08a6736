"""Series: their names, what a period without requests looks like, quantiles, and the request that carries them."""

from __future__ import annotations

import json
import unittest
import zlib

from api.agent import Agent, Batch, pack
from api.identity import Identity
from api.metrics import CallTally, RequestTally, quantile
from api.service import Service
from api.signing import Credentials, sign


class Tallies(unittest.TestCase):
    def test_a_period_without_requests_has_counts_and_no_latencies(self) -> None:
        names = dict(RequestTally().series("http"))
        self.assertEqual(set(names), {f"http.{one}" for one in ("requests", "2xx", "4xx", "5xx", "exceptions")})
        self.assertEqual(set(names.values()), {0})
        self.assertNotIn("x.latency_p50_ms", dict(CallTally().series("x")))

    def test_latencies_and_sizes_are_of_the_period(self) -> None:
        tally = RequestTally()
        for latency in range(1, 101):
            tally.add(200, float(latency), 10)
        series = dict(tally.series("e"))
        self.assertEqual(
            [series[f"e.latency_{one}_ms"] for one in ("p50", "p90", "p99", "mean", "max")], [50, 90, 99, 50.5, 100]
        )
        self.assertEqual(series["e.response_bytes"], 10)
        tally.clear()
        self.assertEqual(dict(tally.series("e"))["e.requests"], 0)

    def test_quantiles_are_nearest_ranks(self) -> None:
        self.assertEqual([quantile([1.0, 2.0, 3.0], level) for level in (0.0, 0.5, 0.9, 1.0)], [1, 2, 3, 3])


class AllSeries(unittest.IsolatedAsyncioTestCase):
    async def test_there_are_over_a_thousand_each_named_once(self) -> None:
        service = Service(Identity("127.0.0.1", 0, "g", "i", "us-east-1", ""), None, "v")
        for endpoint in service.endpoints.all:
            endpoint.tally.add(200, 1.0, 1)
        for dependency in service.endpoints.dependencies.values():
            dependency.tally.latencies_ms.append(1.0)
        service.server.tally.add(200, 1.0, 1)
        names = [name for name, _ in service.series()]
        service.runtime.close()
        self.assertGreater(len(names), 1000)
        self.assertEqual(len(names), len(set(names)))
        for name in ("http.latency_p99_ms", "endpoint.home.2xx", "dependency.artwork.calls", "runtime.load_average"):
            self.assertIn(name, names)


class Publishing(unittest.TestCase):
    def test_a_request_carries_values_dimensions_and_time(self) -> None:
        batch = Batch("Api", (("AutoScalingGroupName", "g"),), 1_700_000_005, [("a.b", 1.5), ("c", 0)])
        sent = json.loads(zlib.decompress(pack(batch, batch.values), wbits=31))
        self.assertEqual(sent["Namespace"], "Api")
        expected = {"MetricName": "a.b", "Value": 1.5, "Timestamp": 1_700_000_005, "StorageResolution": 1}
        self.assertEqual(
            sent["MetricData"][0], expected | {"Dimensions": [{"Name": "AutoScalingGroupName", "Value": "g"}]}
        )

    def test_a_store_that_does_not_answer_costs_only_its_metrics(self) -> None:
        agent = Agent("http://127.0.0.1:9", "us-east-1", lambda: Credentials("a", "b"))
        agent.start()
        with self.assertLogs("api.agent", "WARNING"):
            agent.publish([Batch("Api", (), 0, [("a", 1.0)] * 3)])
            agent.close(5)
        self.assertEqual(agent.dropped, 3)

    def test_a_store_that_has_fallen_behind_drops_and_does_not_wait(self) -> None:
        agent = Agent("http://127.0.0.1:9", "us-east-1", lambda: Credentials("a", "b"))
        for _ in range(5):
            agent.publish([Batch("Api", (), 0, [("a", 1.0)])])
        self.assertEqual(agent.dropped, 2)

    def test_the_signature_is_that_of_the_reference(self) -> None:
        credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
        signed = sign("https://example.amazonaws.com/", {}, b"", credentials, "us-east-1", "service", 1_440_938_160.0)
        # AWS's Signature Version 4 test suite, case post-vanilla.
        self.assertTrue(
            signed["authorization"].endswith("5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")
        )
