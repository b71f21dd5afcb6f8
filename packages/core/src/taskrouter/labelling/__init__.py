"""Labelling: second opinions on what step identities are for, behind the user's calls."""

from taskrouter.labelling.asking import PoolAsk
from taskrouter.labelling.keeping import KeptLabels
from taskrouter.labelling.labelling import Labelling, LabellingStatus, make_labeller

__all__ = ["KeptLabels", "Labelling", "LabellingStatus", "PoolAsk", "make_labeller"]
