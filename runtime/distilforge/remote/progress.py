"""How far a download is."""

import time

from distilforge.status_line import Show, clock


class Meter:
    """Counts the bytes of a download, and shows how far it is."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._started = time.monotonic()
        self._expected = 0
        self.bytes = 0
        """How much was downloaded."""

    def expect(self, size: int) -> None:
        """So many bytes are still to come."""
        self._expected = self.bytes + size

    def add(self, size: int) -> None:
        """Count a piece, and show how far all is, once it is known how much that is."""
        self.bytes += size
        if not self._expected:
            return
        # What is damaged comes twice
        total = max(self.bytes, self._expected)
        speed = self.bytes / max(time.monotonic() - self._started, 1e-9)
        left = f", {clock((total - self.bytes) / speed)} left" if speed else ""
        self._show(
            f"{self.bytes / total:4.0%}  {self.bytes / 1e6:,.1f} of {total / 1e6:,.1f} MB, {speed / 1e6:,.1f} MB a "
            f"second{left}"
        )
