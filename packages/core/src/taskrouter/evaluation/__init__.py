"""Measures policies on recorded outcomes: recordings, baselines, intervals, `evaluate`.

Import from the modules: `harness` needs the extra `report`, `recordings` needs nothing.
"""
