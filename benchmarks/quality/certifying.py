"""The router's own certificates, as `taskrouter tune` issues them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from taskrouter.evaluation.learned import Learned
from taskrouter.evaluation.recordings import Recording
from taskrouter.evaluation.situations import Policy, Situation
from taskrouter.evaluation.tuning import tuned
from taskrouter.learning import Identity


def certified(
    sample: Recording, situations: Sequence[Situation], incumbent: str, *, eps: float, confidence: float
) -> Policy | None:
    """Learn on one part of the sample and certify on the other; identities that were not seen keep the incumbent."""
    seed = zlib.crc32(repr([prompt.id for prompt in sample.prompts]).encode())  # samples are to draw independently
    identities = [Identity(situation.identity or "", situation.task_type) for situation in situations]
    found = tuned(sample, identities, max_loss=eps, confidence=confidence, incumbent=incumbent, seed=seed)
    return None if found.policy is None else Learned(found.policy, incumbent, seed=seed)
