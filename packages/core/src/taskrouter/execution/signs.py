"""The signs by which clients and providers tell what went wrong: names of exceptions, statuses, codes, phrases.

Read off openai 2.54, litellm 1.106, langchain-core 1.7, anthropic 2.11, google-genai 3.4, botocore 1.44, mistralai 3.7,
cohere 7.3, groq 1.7, ollama 0.6, azure-core 1.41, httpx 0.28, aiohttp 3.14 and requests 2.34.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from taskrouter import errors as e


class Doubt(IntEnum):
    """How much what an exception wraps may know better than it."""

    NONE = 0
    BROAD = 1
    """True, but there may be a more particular reason below: a 400, a 500."""
    BUG = 2
    """An exception that a mistake in a program raises."""
    WRAPPER = 3
    """Raised for whatever went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one exception says of a failure.

    Attributes:
        cls: our class for it.
        doubt: how much what the exception wraps may know better.
        retryable: whether the same call may succeed later; None for the class's own answer.
        status: HTTP status, where there was one.
        detail: our words for it, where the class's own say too little.
        of_the_step: whether another step may be answered.
    """

    cls: type[e.ModelCallError]
    doubt: Doubt = Doubt.NONE
    retryable: bool | None = None
    status: int | None = None
    detail: str | None = None
    of_the_step: bool = False


NO_CREDIT = Verdict(
    cls=e.RateLimited,
    retryable=False,
    detail="has no quota or credit left: check the limits and billing of its account",
)
TOO_LARGE = Verdict(
    cls=e.RateLimited, retryable=False, detail="allows fewer tokens a minute than this step has", of_the_step=True
)
NO_KEY = Verdict(cls=e.Unauthenticated, detail="has no credentials: set its API key")
_HOPELESS = Verdict(cls=e.ConnectionFailed, retryable=False)


def _each(listed: str, verdict: Verdict) -> dict[str, Verdict]:
    return dict.fromkeys(listed.split(), verdict)


NAMES: Mapping[str, Verdict] = (
    _each(
        "ContextWindowExceededError ContextOverflowError ModelContextOverflowError",
        Verdict(cls=e.ContextOverflow),
    )
    | _each(
        """ContentPolicyViolationError ModelRefusalError ContentFilterFinishReasonError RejectedRequestError
        GuardrailRaisedException BlockedPiiEntityError BlockedPromptException StopCandidateException""",
        Verdict(cls=e.Refused),
    )
    | _each(
        "RateLimitError ModelRateLimitError ResourceExhausted TooManyRequests TooManyRequestsError",
        Verdict(cls=e.RateLimited),
    )
    | _each(
        """APITimeoutError ModelTimeoutError Timeout TimeoutError TimeoutException DeadlineExceeded ConnectTimeout
        ReadTimeout ConnectTimeoutError ReadTimeoutError ServerTimeoutError ServiceRequestTimeoutError
        ServiceResponseTimeoutError""",
        Verdict(cls=e.Timeout),
    )
    | _each(
        """AuthenticationError PermissionDeniedError ModelAuthenticationError ModelPermissionDeniedError
        ClientAuthenticationError InvalidTokenError RefreshError CredentialRetrievalError TokenRetrievalError
        SSOError""",
        Verdict(cls=e.Unauthenticated),
    )
    | _each(
        """NoCredentialsError PartialCredentialsError NoAuthTokenError DefaultCredentialsError CredentialsError
        CredentialUnavailableError""",
        NO_KEY,
    )
    | _each("NotFoundError ModelNotFoundError LiteLLMUnknownProvider", Verdict(cls=e.ModelNotFound))
    | _each(
        """ConnectionError TransportError NetworkError ProtocolError ProxyError SSLError gaierror herror
        NewConnectionError ConnectionClosedError ConnectionClosed ResponseStreamingError IncompleteRead
        IncompleteReadError ChunkedEncodingError ClientConnectionError ClientPayloadError BrokenResourceError
        EndOfStream""",
        Verdict(cls=e.ConnectionFailed),
    )
    # A wrong address, an illegal header, a certificate that is not trusted: the same call fails the same way.
    | _each(
        """UnsupportedProtocol LocalProtocolError InvalidURL MissingSchema InvalidSchema SSLCertVerificationError
        ClientConnectorCertificateError""",
        _HOPELESS,
    )
    | _each(
        """APIConnectionError ModelConnectionError ServiceRequestError ServiceResponseError HTTPClientError
        MaxRetryError NoResponseError""",
        Verdict(cls=e.ConnectionFailed, doubt=Doubt.WRAPPER),
    )
    | _each(
        """APIResponseValidationError ResponseValidationError ParsingError JSONSchemaValidationError JSONDecodeError
        DecodingError UnknownApiResponseError LengthFinishReasonError OutputParserException""",
        Verdict(cls=e.BadAnswer),
    )
    | _each("ClosedResourceError BusyResourceError", Verdict(cls=e.LocalFailure))
)
"""By the name of an exception's class or of one of its bases, the nearest first. These beat the HTTP status."""

BROAD_NAMES: Mapping[str, Verdict] = (
    _each("ServiceUnavailableError OverloadedError ServiceUnavailable", Verdict(cls=e.Overloaded, doubt=Doubt.BROAD))
    | _each("InternalServerError BadGatewayError ModelAPIError", Verdict(cls=e.ServerFailed, doubt=Doubt.BROAD))
    | _each(
        """UnprocessableEntityError BadRequestError InvalidRequestError ModelInvalidRequestError
        ParamValidationError""",
        Verdict(cls=e.BadRequest, doubt=Doubt.BROAD),
    )
    | _each("ContentTypeError", Verdict(cls=e.BadAnswer, doubt=Doubt.BROAD))
    | _each("URLError", Verdict(cls=e.ConnectionFailed, doubt=Doubt.WRAPPER))  # urllib's HTTPError is one too
)
"""Names that a status says more than."""

STATUSES: Mapping[int, Verdict] = {
    401: Verdict(cls=e.Unauthenticated),
    402: NO_CREDIT,
    403: Verdict(cls=e.Unauthenticated),
    404: Verdict(cls=e.ModelNotFound),
    408: Verdict(cls=e.Timeout),
    # A lock that was not had in time: the SDKs of OpenAI, Anthropic and Groq retry it.
    409: Verdict(cls=e.ServerFailed, doubt=Doubt.BROAD),
    410: Verdict(cls=e.ModelNotFound),
    413: Verdict(cls=e.ContextOverflow),
    424: Verdict(cls=e.ServerFailed, doubt=Doubt.BROAD),  # Bedrock, Hugging Face TGI: the model failed while it ran
    429: Verdict(cls=e.RateLimited),
    498: Verdict(cls=e.Overloaded),  # Groq: the capacity of the flex tier is used up
    499: Verdict(cls=e.ConnectionFailed, status=499),  # Cohere, Google: they saw the connection close
    503: Verdict(cls=e.Overloaded),
    504: Verdict(cls=e.Timeout),
    524: Verdict(cls=e.Timeout),  # Cloudflare: no answer from the provider behind it
    529: Verdict(cls=e.Overloaded),
}

CODES: Mapping[str, Verdict] = (
    _each(
        """context_length_exceeded model_context_window_exceeded context_window_exceeded exceed_context_size_error
        token_limit_exceeded request_too_large""",
        Verdict(cls=e.ContextOverflow),
    )
    | _each(
        """content_filter content_policy_violation responsibleaipolicyviolation invalid_prompt bio_policy
        image_content_policy_violation moderation_blocked data_inspection_failed prohibited_content safety""",
        Verdict(cls=e.Refused),
    )
    | _each(
        """rate_limit_exceeded rate_limit_error rate_limited ramp_limit_exceeded resource_exhausted too_many_requests
        throttlingexception throttling throttledexception toomanyrequestsexception ratelimitexceeded
        service_tier_capacity_exceeded""",
        Verdict(cls=e.RateLimited),
    )
    | _each(
        """insufficient_quota quota_exceeded quotaexceeded quota_of_the_day billing_error billing_hard_limit_reached
        billing_not_active budget_exceeded servicequotaexceededexception contract_spend_limit_reached
        enforced_spend_limit_reached linked_organization_spend_limit_reached
        linked_organization_billing_unavailable""",
        NO_CREDIT,
    )
    | _each(
        """overloaded_error overloaded engine_overloaded unavailable service_unavailable serviceunavailable
        serviceunavailableexception modelnotreadyexception slow_down""",
        Verdict(cls=e.Overloaded),
    )
    | _each(
        "modelerrorexception modelstreamerrorexception internalserverexception",
        Verdict(cls=e.ServerFailed),
    )
    | _each(
        """timeout_error deadline_exceeded modeltimeoutexception request_timeout requesttimeout
        requesttimeoutexception""",
        Verdict(cls=e.Timeout),
    )
    | _each(
        """invalid_api_key authentication_error permission_error unauthenticated permission_denied api_key_invalid
        api_key_expired api_key_scope_missing account_deactivated organization_on_hold accessdenied
        accessdeniedexception unrecognizedclientexception expiredtoken expiredtokenexception invalidclienttokenid
        invalidsignatureexception missingauthenticationtoken unsupported_country_region_territory""",
        Verdict(cls=e.Unauthenticated),
    )
    | _each(
        """model_not_found not_found_error resourcenotfoundexception deploymentnotfound model_decommissioned
        unknown_model invalid_model""",
        Verdict(cls=e.ModelNotFound),
    )
)
"""By a code, in lower case. These beat names and the HTTP status, which in a stream is 200 whatever happens."""

BROAD_CODES: Mapping[str, Verdict] = (
    _each(
        """server_error internal_server_error api_error internal internal_error internalfailure conflict_error""",
        Verdict(cls=e.ServerFailed, doubt=Doubt.BROAD),
    )
    | _each(
        "invalid_request_error invalid_argument failed_precondition validationexception validation",
        Verdict(cls=e.BadRequest, doubt=Doubt.BROAD),
    )
    | _each("not_found", Verdict(cls=e.ModelNotFound, doubt=Doubt.BROAD))
)
"""Codes that a status says more than: OpenAI calls a wrong key an `invalid_request_error` too."""

CONTEXT_PHRASES = (
    "prompt is too long",  # Anthropic, also on Bedrock and Vertex AI
    "exceed context limit",  # Anthropic: "input length and `max_tokens` exceed context limit"
    "maximum context length",  # vLLM, DeepSeek, Mistral, OpenAI before it had codes
    "exceeds the context window",  # OpenAI, events of its Responses API
    "input tokens exceed the configured limit",  # OpenAI
    "exceeds the maximum number of tokens allowed",  # Gemini
    "input is too long for requested model",  # Bedrock
    "too many tokens",  # Cohere
    "maximum prompt length",  # xAI
    "exceeds the available context size",  # llama.cpp before exceed_context_size_error
    "exceeds the context length",  # Ollama
    "`inputs` tokens + `max_new_tokens` must be",  # Hugging Face TGI, Together AI
    "contextwindowexceedederror",  # a LiteLLM proxy
)
"""What providers say of a step that is too long, where no code says it."""

KEY_PHRASES = (
    "could not resolve authentication method",  # anthropic: TypeError
    "api_key client option must be set",  # openai 1, groq
    "no api key was provided",  # google-genai: ValueError
    "project or api key must be set",  # google-genai with Vertex AI: ValueError
    "instantiated be either passing in token",  # cohere: ApiError without a status
    "missing gemini api key",  # litellm: ValueError
)
"""What clients say when they find no key, in exceptions that they raise for other reasons too."""

KEYLESS_TYPES = frozenset({("openai", "OpenAIError"), ("groq", "GroqError")})
"""Roots of the clients' errors. Bare, they are raised for missing or contradictory credentials."""

CLOSED_PHRASES = (
    "event loop",  # asyncio: it is closed, is not running, is another one
    "different loop",  # asyncio
    "client has been closed",  # httpx
    "session is closed",  # aiohttp
    "cannot schedule new futures",  # concurrent.futures
    "start new thread",  # threading
)
"""What a `RuntimeError` says when this side cannot call anybody."""

PROVIDER_PHRASE = "llm provider not provided"  # litellm: BadRequestError
CHOICES_PHRASE = "null value for 'choices'"  # langchain-openai: TypeError
TOO_LARGE_PHRASE = "request too large for"  # OpenAI, Groq: the step has more tokens than they allow in a whole minute
