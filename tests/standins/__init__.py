"""Stand-ins for the APIs of OpenAI and Anthropic, over real HTTP on loopback.

They speak the vendors' wire formats, refuse what the vendors refuse, keep every request, and fail on demand. One plain
`brain` decides what both say, so that a test can tell a fault of the adapter from a whim of a model.
"""

from tests.standins.server import Received, Vendors, serve

__all__ = ["Received", "Vendors", "serve"]
