"""The timing engine: every speed that the project reports is measured here.

- `subject`: what is timed; `variant` makes a release's variant a subject, `feeds` its inputs
- `worker`, `process`: each subject runs in a process of its own, and is stopped while it waits for its turn
- `rounds`: every subject has one turn at every shape in each round, in random order, until the budget is spent
- `watch`, `cores`: what else the machine does meanwhile
- `steadiness`: whether the machine was quiet enough for a claim
- `ratios`: medians, ratios and their confidence intervals
- `claims`: the speeds that a release's manifest claims
"""
