"""A release is assembled, judged by the gate, described by its model card, and published."""
