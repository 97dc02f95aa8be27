"""The counts of a batched session for Prometheus; needs `prometheus-client`, which the extra `serve` has."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from distilforge.batching.batcher import Batcher


class BatchCollector(Collector):
    """Reads the counts when Prometheus asks: `prometheus_client.REGISTRY.register(BatchCollector(batcher))`."""

    def __init__(self, batcher: Batcher[object], prefix: str = "distilforge_") -> None:
        """`prefix` stands before the name of every metric."""
        self._batcher = batcher
        self._prefix = prefix

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        counts = self._batcher.counts
        requests = CounterMetricFamily(
            f"{self._prefix}batch_requests", "Batches of callers, by how they ended", labels=["outcome"]
        )
        for outcome, count in (
            ("answered", counts.answered),
            ("failed", counts.failed),
            ("cancelled", counts.cancelled),
            ("rejected", counts.rejected),
        ):
            requests.add_metric([outcome], count)
        yield requests
        yield GaugeMetricFamily(
            f"{self._prefix}batch_requests_waiting", "Batches of callers that wait", value=counts.waiting
        )
        for name, text, value in (
            ("runs", "Runs of the engine", counts.runs),
            ("rows", "Rows of all runs", counts.rows),
            ("tokens", "Tokens of all runs, padding included", counts.tokens),
            ("padding_tokens", "Tokens that made the requests of a run equally long", counts.padding),
            ("waiting_seconds", "Time that requests waited before they ran", counts.waiting_seconds),
            ("running_seconds", "Time that the engine ran", counts.running_seconds),
        ):
            yield CounterMetricFamily(f"{self._prefix}batch_{name}", text, value=value)
