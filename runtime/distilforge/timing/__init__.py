"""The one timing engine: subjects in processes of their own, shuffled rounds, a watched machine, ratios with intervals.

A subject (`subject`) is opened in a process of its own (`worker`, `process`). All subjects answer all shapes once a
round (`rounds`), while the machine is watched (`watch`, `cores`). What comes out (`timing`) says whether it is steady
(`steadiness`); ratios and their intervals are computed from it in one place (`ratios`).
"""
