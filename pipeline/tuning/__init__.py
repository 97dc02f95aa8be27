"""Tuning: the plan that is fastest on this machine and still as accurate as the gate asks, by measurement."""
