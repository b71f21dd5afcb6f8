"""What answers come to, for whoever compares them: `canonical(view, step) == canonical(other, step)`."""

from taskrouter.execution.answers import canonical
from taskrouter.ports import AnswerReader

__all__ = ["AnswerReader", "canonical"]
