"""What the adapters share, in no framework's words. An adapter of your own stands on the same parts.

An adapter translates: a native request to a `Step`, a call of the chosen candidate, a native answer to a
`ResponseView`. Everything between is here, written once: arguments and candidates, what a step is declared to be, the
choice among the candidates that a request leaves, clients without retries, who said what, calls and their results, and
credit.
"""

from taskrouter.adapters.accounts import account
from taskrouter.adapters.authors import Author, Authors, fingerprint
from taskrouter.adapters.candidates import Candidates, model_config, read_candidates
from taskrouter.adapters.choosing import Chosen, choose, pinned
from taskrouter.adapters.connections import ANSWERS, ahanging_up, hanging_up, noting
from taskrouter.adapters.construction import Arguments, Parts, check_arguments, parts_of
from taskrouter.adapters.credit import Credit, credit_of
from taskrouter.adapters.identity import CALL_KEYS, KEY, STEP_KEYS, Identity, checked, identity, narrowed, trace_id
from taskrouter.adapters.pairing import Answer, Answered, Call, Kept, Renamed, Result, paired
from taskrouter.adapters.pool_model import PoolModel
from taskrouter.adapters.sdk_clients import (
    LoopClients,
    fresh,
    has_usual_connections,
    is_sdk_client,
    without_retries,
)
from taskrouter.adapters.streams import PerStream
from taskrouter.planning import one_by_one

__all__ = [
    "ANSWERS",
    "CALL_KEYS",
    "KEY",
    "STEP_KEYS",
    "Answer",
    "Answered",
    "Arguments",
    "Author",
    "Authors",
    "Call",
    "Candidates",
    "Chosen",
    "Credit",
    "Identity",
    "Kept",
    "LoopClients",
    "Parts",
    "PerStream",
    "PoolModel",
    "Renamed",
    "Result",
    "account",
    "ahanging_up",
    "check_arguments",
    "checked",
    "choose",
    "credit_of",
    "fingerprint",
    "fresh",
    "hanging_up",
    "has_usual_connections",
    "identity",
    "is_sdk_client",
    "model_config",
    "narrowed",
    "noting",
    "one_by_one",
    "paired",
    "parts_of",
    "pinned",
    "read_candidates",
    "trace_id",
    "without_retries",
]
