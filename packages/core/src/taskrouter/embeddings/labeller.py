"""`EmbeddingLabeller`: compares a system prompt with labelled examples."""

from __future__ import annotations

from functools import cached_property

from taskrouter.config import LabellerConfig, validated
from taskrouter.embeddings.encoders import Encoder, encoder_of
from taskrouter.embeddings.examples import builtin_examples, own_examples
from taskrouter.embeddings.options import EmbeddingOptions
from taskrouter.errors import ConfigurationError, MissingExtraError
from taskrouter.ports import Classification
from taskrouter.step import StepContext, StepView

try:
    from taskrouter.embeddings.nearest import Nearest
    from taskrouter.embeddings.vectors import unit, vectors_of
except ModuleNotFoundError as missing:
    raise MissingExtraError("numpy", extra="embeddings", wanted_for="the labeller 'embeddings'") from missing

LISTED = 0.005
"""Less probable task types are left out."""


class EmbeddingLabeller:
    """Tells what a system prompt is for by the labelled examples that lie nearest to it.

    The examples are read when it is made. Their vectors are made with the first question, in the thread of labels.

    Args:
        config: the section `[profiling.labeller]`.
        encoder: makes vectors; None: what `model` names.

    Raises:
        ConfigurationError: an option or the file of examples is wrong, or the model's library is not installed.
    """

    name = "embeddings"

    def __init__(self, config: LabellerConfig, encoder: Encoder | None = None) -> None:
        options = validated(EmbeddingOptions, dict(config.options), where="profiling.labeller.options")
        examples = builtin_examples() if options.builtin else []
        if options.examples is not None:
            examples += own_examples(options.examples)
        self._texts = [example.text for example in examples]
        self._labels = [example.task_type for example in examples]
        if len(set(self._labels)) < 2:
            raise ConfigurationError("profiling.labeller.options: there must be examples of two task types or more")
        self._options = options
        self._encoder = encoder_of(config, options) if encoder is None else encoder
        self.remote = self._encoder.remote

    def label(self, view: StepView, context: StepContext) -> Classification | None:
        """Return the task types of the nearest examples, or None for a prompt that is like none of them."""
        text = role_of(view, context)
        told = self._nearest.tell(unit(self._encoder.encode([text]))[0])
        listed = tuple((task_type, share) for task_type, share in told if share >= LISTED)
        return Classification(listed, ("the system prompt is like labelled examples",)) if listed else None

    @cached_property
    def _nearest(self) -> Nearest:
        vectors = vectors_of(self._encoder, self._texts, self._options.cache)
        return Nearest(vectors, self._labels, neighbours=self._options.neighbours)


def role_of(view: StepView, context: StepContext) -> str:
    """Return what is compared: the system prompt's extract, or the names where there is none."""
    if view.system:
        return view.system
    return " ".join(name.replace("_", " ") for name in (context.agent, context.node) if name)
