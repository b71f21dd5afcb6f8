"""Plans scored and one selected: a pure function from profile and pool to a `Decision`."""

from taskrouter.planning.checked import make_selector
from taskrouter.planning.planner import Planner
from taskrouter.planning.prefix import PrefixMemory
from taskrouter.planning.quality import QualityModel

__all__ = ["Planner", "PrefixMemory", "QualityModel", "make_selector"]
