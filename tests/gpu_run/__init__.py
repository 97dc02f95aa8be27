"""`make test-gpu`: what it checks before it installs anything, and the table of what ran and what was skipped."""
