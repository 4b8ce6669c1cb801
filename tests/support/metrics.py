"""The page of the metrics, read as Prometheus reads it."""

from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]


def figures(page: bytes) -> dict[tuple[str, Labels], float]:
    """Return each figure of a page, by its name and its labels in order."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }
