"""The counts as Prometheus reads them."""

import distilforge
import pytest

from tests.batched_session import open_session

prometheus_client = pytest.importorskip(
    "prometheus_client", reason="needs prometheus-client: pip install 'distilforge[serve]'"
)


def test_the_metrics_are_the_counts() -> None:
    from distilforge.batching.prometheus import BatchCollector

    session = open_session("sequence_classification")
    assert isinstance(session, distilforge.SequenceClassification)
    registry = prometheus_client.CollectorRegistry()
    with session.batched(max_delay=0.0) as batcher:
        registry.register(BatchCollector(batcher))
        batcher.session(["the film", "the"])
        text = prometheus_client.generate_latest(registry).decode()
        counts = batcher.counts
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines['distilforge_batch_requests_total{outcome="answered"}']) == counts.answered == 1
    assert float(lines["distilforge_batch_rows_total"]) == 2
    assert float(lines["distilforge_batch_tokens_total"]) == counts.tokens == 8
    assert float(lines["distilforge_batch_requests_waiting"]) == 0
    assert float(lines["distilforge_batch_running_seconds_total"]) == counts.running_seconds
