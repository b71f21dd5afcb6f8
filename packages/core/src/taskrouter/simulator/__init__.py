"""An OpenAI-compatible server with simulated models, on loopback only: agents, demos and tests run without a key.

The models answer from the prompt by small transparent skills, fail on demand, and check requests as strictly as the
real API does. Every answer says that it is simulated.
"""

from taskrouter.simulator.chaos import ChaosScript, Phase, load_chaos
from taskrouter.simulator.config import FAULTS, SimulatedModel, SimulatorConfig, load
from taskrouter.simulator.journal import RequestRecord
from taskrouter.simulator.server import RunningServer, serve

__all__ = [
    "FAULTS",
    "ChaosScript",
    "Phase",
    "RequestRecord",
    "RunningServer",
    "SimulatedModel",
    "SimulatorConfig",
    "load",
    "load_chaos",
    "serve",
]
