"""A learned policy in a file, with its certificate: `{"schema": 1, "policy": {...}, "certificate": {...} or null}`."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from taskrouter.catalog.card import ModelCard
from taskrouter.config import LearningConfig, read_text, validated
from taskrouter.errors import ConfigurationError
from taskrouter.learning.certificate import Certificate, Price
from taskrouter.learning.policy import LearnedPolicy
from taskrouter.learning.standing import Standing

logger = logging.getLogger("taskrouter.learning")

SCHEMA_VERSION: Final = 1


class PolicyFile(NamedTuple):
    """What such a file holds."""

    policy: LearnedPolicy
    certificate: Certificate | None
    """None: nothing is promised of the policy."""


class Given(NamedTuple):
    """A policy from a file, as a router can use it."""

    policy: LearnedPolicy
    standing: Standing | None


class _StoredFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = Field(alias="schema")
    policy: dict[str, Any]
    certificate: dict[str, Any] | None


def write_policy(path: str | Path, policy: LearnedPolicy, certificate: Certificate | None) -> None:
    """Write a policy with its certificate; whoever reads meanwhile sees the old file or the new one.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(path)
    document = {
        "schema": SCHEMA_VERSION,
        "policy": policy.to_dict(),
        "certificate": None if certificate is None else certificate.to_dict(),
    }
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, ensure_ascii=False, allow_nan=False)
            file.write("\n")
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_policy(path: str | Path) -> PolicyFile:
    """Read what `write_policy` wrote.

    Raises:
        ConfigurationError: the file cannot be read, is damaged, or is of another schema version; the message names the
            file and the field.
    """
    path = Path(path)
    try:
        document = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{path}: not a JSON document (line {error.lineno}): make the file anew with `taskrouter tune`"
        ) from None
    except RecursionError:
        raise ConfigurationError(f"{path}: not a policy: it is nested too deeply") from None
    stored = validated(_StoredFile, document, where=str(path))
    policy = LearnedPolicy.from_dict(stored.policy, where=f"{path}: policy")
    certificate = None
    if stored.certificate is not None:
        certificate = Certificate.from_dict(stored.certificate, where=f"{path}: certificate")
    return PolicyFile(policy, certificate)


def given_policy(config: LearningConfig, cards: Mapping[str, ModelCard], incumbent: str) -> Given | None:
    """Read the policy that a configuration names, for a router of that pool; None if it names none.

    Identities whose models are not in the pool go as they would without labels.

    Args:
        config: the section `[learning]`.
        cards: the pool by id.
        incumbent: id of its incumbent.

    Raises:
        ConfigurationError: as `read_policy`.
    """
    path = config.policy
    if path is None or not config.enabled:
        return None
    pool = {
        id_: Price(card.model, card.input_usd_per_million, card.output_usd_per_million) for id_, card in cards.items()
    }
    policy, certificate = read_policy(path)
    whole = policy
    missing = sorted(policy.models - pool.keys())
    if missing:
        policy = _within(policy, pool)
        logger.warning(
            "%s: %s not in the pool; %s of %s identities of the policy are left out",
            path,
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'}",
            len(whole.branches) - len(policy.branches),
            len(whole.branches),
        )
    if certificate is None:
        return Given(policy, None)
    lapsed = certificate.lapsed(incumbent, pool)
    if lapsed is None and certificate.policy_hash != whole.version:
        lapsed = "the policy was changed after it was certified"
    return Given(policy, Standing(certificate, lapsed=lapsed))


def _within(policy: LearnedPolicy, pool: Mapping[str, Price]) -> LearnedPolicy:
    kept = {
        key: branches
        for key, branches in policy.branches.items()
        if all(model in pool for branch in branches for model in branch.plan.models)
    }
    labels = {key: policy.labels[key] for key in kept}
    return LearnedPolicy(policy.incumbent, kept, labels, policy.reckoning, policy.view)
