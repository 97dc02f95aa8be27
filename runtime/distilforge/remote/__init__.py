"""Releases on another machine: what a store holds, and how a release is taken from it."""
