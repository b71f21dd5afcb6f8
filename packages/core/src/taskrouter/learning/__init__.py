"""What outcomes teach: gains per step identity, the joint choice of plans that follows from them, and its proof."""

from taskrouter.learning.allocation import Allocation, Option, Work, allocate, hull
from taskrouter.learning.cases import Arm
from taskrouter.learning.credit import RunCredit
from taskrouter.learning.exploration import ExplorationBudget
from taskrouter.learning.fitting import Labelled, fit
from taskrouter.learning.gains import Estimate, GainTable, Scored
from taskrouter.learning.identity import Identity, identify, plain_name
from taskrouter.learning.learner import Advice, Learner, Lesson
from taskrouter.learning.online import OnlineLearner
from taskrouter.learning.policy import Branch, Chosen, LearnedPolicy, Reckoning

__all__ = [
    "Advice",
    "Allocation",
    "Arm",
    "Branch",
    "Chosen",
    "Estimate",
    "ExplorationBudget",
    "GainTable",
    "Identity",
    "Labelled",
    "LearnedPolicy",
    "Learner",
    "Lesson",
    "OnlineLearner",
    "Option",
    "Reckoning",
    "RunCredit",
    "Scored",
    "Work",
    "allocate",
    "fit",
    "hull",
    "identify",
    "plain_name",
]
