"""Tests of what only the newest langchain-core has; an older one has nothing to collect here."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("langchain_core.decisions") else ["test_*.py"]
