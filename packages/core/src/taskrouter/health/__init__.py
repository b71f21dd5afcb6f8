"""Which endpoints of the pool can be called now: breakers, rate gates, latencies, and the balance between deployments.

A state machine without a clock: every method is given the time. It does no I/O; what other processes should know is
handed out by `Health.changes` and taken in by `Health.adopt`.
"""

from taskrouter.health.endpoints import endpoints_of
from taskrouter.health.health import Health
from taskrouter.health.sharing import Notice
from taskrouter.health.states import EndpointState, Turn
from taskrouter.ports import Admission, Endpoint

__all__ = ["Admission", "Endpoint", "EndpointState", "Health", "Notice", "Turn", "endpoints_of"]
