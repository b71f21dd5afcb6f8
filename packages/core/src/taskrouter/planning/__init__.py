"""Plans scored and one selected: a pure function from profile and pool to a `Decision`."""

from taskrouter.planning.planner import Planner
from taskrouter.planning.quality import QualityModel

__all__ = ["Planner", "QualityModel"]
