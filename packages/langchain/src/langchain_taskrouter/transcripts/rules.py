"""What becomes of each part of a conversation when another model reads it: the table that `docs/transcripts.md` shows.

Plain data on plain content blocks, with nothing of LangChain in it. Three readers are told apart: the model that wrote
an answer reads it untouched; another model of the same vendor; another vendor's model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from langchain_taskrouter.transcripts.vendors import ANY, CLAUDE, GOOGLE, OPENAI, SEARCHED

Block = Mapping[str, Any]


class Fate(StrEnum):
    """What becomes of a part."""

    KEPT = "kept"
    UNSIGNED = "kept, unsigned"
    """Without signatures."""
    PAIRED = "kept with its result"
    """Dropped where the call or the result is missing."""
    CALL = "as a standard call"
    """`tool_calls` of the message has it, and every integration writes that in its own way."""
    STANDARD = "in standard form"
    """As LangChain's standard content block."""
    TEXT = "as text"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table."""

    what: str
    names: tuple[str, ...]
    """Block types, or the keys under which it stands."""
    same_vendor: Fate
    other_vendor: Fate
    example: Block
    vendors: frozenset[str] = field(default=ANY)
    """Who understands it; empty: it is nobody's own, or every vendor has one."""
    pinned: str = ""
    """When the conversation can only be continued by some."""


ANSWERS = (
    Rule(
        "text, with or without citations",
        ("text", "output_text", "input_text"),
        Fate.UNSIGNED,
        Fate.TEXT,
        {"type": "text", "text": "Paris.", "annotations": [{"type": "url_citation", "url": "https://a.example"}]},
    ),
    Rule(
        "signed thought",
        ("thinking", "redacted_thinking"),
        Fate.DROPPED,
        Fate.DROPPED,
        {"type": "thinking", "thinking": "They ask for a city.", "signature": "c2lnbmVk"},
        pinned='an open loop of another model: not for `thinking={"type": "enabled"}`',
    ),
    Rule(
        "reasoning: items, summaries, encrypted content",
        ("reasoning", "reasoning_content"),
        Fate.DROPPED,
        Fate.DROPPED,
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
    ),
    Rule(
        "tool call",
        ("tool_use", "tool_call", "tool_call_chunk", "function_call", "custom_tool_call", "invalid_tool_call"),
        Fate.KEPT,
        Fate.CALL,
        {"type": "tool_use", "id": "toolu_1", "name": "lookup", "input": {"city": "Paris"}},
    ),
    Rule(
        "pieces of a streamed or signed call",
        ("input_json_delta", "function_call_signature"),
        Fate.DROPPED,
        Fate.DROPPED,
        {"type": "function_call_signature", "signature": "c2lnbmVk", "index": 0},
    ),
    Rule(
        "call of a server-side tool",
        ("server_tool_use", "mcp_tool_use", "server_tool_call", "server_tool_call_chunk", "executable_code"),
        Fate.PAIRED,
        Fate.TEXT,
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "weather Paris"}},
        pinned="it is the end, unanswered (`pause_turn`): same model",
    ),
    Rule(
        "result of a server-side tool",
        (
            "web_search_tool_result",
            "web_fetch_tool_result",
            "code_execution_tool_result",
            "bash_code_execution_tool_result",
            "text_editor_code_execution_tool_result",
            "mcp_tool_result",
            "tool_search_tool_result",
            "advisor_tool_result",
            "tool_result",
            "server_tool_result",
            "code_execution_result",
        ),
        Fate.PAIRED,
        Fate.TEXT,
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [{"title": "Weather", "url": "https://w.example", "encrypted_content": "Eq"}],
        },
    ),
    Rule(
        "OpenAI's item of a server-side tool",
        (
            "web_search_call",
            "file_search_call",
            "code_interpreter_call",
            "mcp_call",
            "mcp_list_tools",
            "tool_search_call",
            "tool_search_output",
        ),
        Fate.TEXT,
        Fate.TEXT,
        {"type": "file_search_call", "id": "fs_1", "queries": ["rent"], "results": [{"text": "Rent is 900."}]},
        vendors=OPENAI,
    ),
    Rule(
        "OpenAI's call that the application answers",
        (
            "computer_call",
            "mcp_approval_request",
            "apply_patch_call",
            "apply_patch_call_output",
            "shell_call",
            "shell_call_output",
            "local_shell_call",
        ),
        Fate.TEXT,
        Fate.TEXT,
        {"type": "computer_call", "id": "cu_1", "call_id": "call_1", "action": {"type": "click", "x": 1, "y": 2}},
        vendors=OPENAI,
        pinned="its answer is the end: same model",
    ),
    Rule(
        "picture, sound or file that a model made",
        ("image", "image_url", "image_generation_call", "audio", "video", "file", "media", "document"),
        Fate.KEPT,
        Fate.TEXT,
        {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
    ),
    Rule(
        "refusal", ("refusal",), Fate.TEXT, Fate.TEXT, {"type": "refusal", "refusal": "I cannot help."}, vendors=OPENAI
    ),
    Rule(
        "summary of what was compacted",
        ("compaction",),
        Fate.KEPT,
        Fate.TEXT,
        {"type": "compaction", "content": "They want to move to Paris."},
    ),
    Rule("block of an unknown type", (), Fate.KEPT, Fate.DROPPED, {"type": "hologram", "payload": "x"}),
)
"""Blocks of an assistant message."""

FIELDS = (
    Rule(
        "thoughts beside the content",
        ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks", "thinking"),
        Fate.DROPPED,
        Fate.DROPPED,
        {"reasoning_content": "They ask for a city."},
    ),
    Rule(
        "Gemini's thought signatures",
        ("__gemini_function_call_thought_signatures__", "thought_signature", "signature"),
        Fate.DROPPED,
        Fate.DROPPED,
        {"__gemini_function_call_thought_signatures__": {"call_1": "c2lnbmVk"}},
        vendors=GOOGLE,
    ),
    Rule(
        "ids of OpenAI's items",
        ("__openai_function_call_ids__",),
        Fate.DROPPED,
        Fate.DROPPED,
        {"__openai_function_call_ids__": {"call_1": "fc_1"}},
        vendors=OPENAI,
    ),
    Rule(
        "OpenAI's items of server-side tools",
        ("tool_outputs",),
        Fate.TEXT,
        Fate.TEXT,
        {"tool_outputs": [{"type": "code_interpreter_call", "id": "ci_1", "code": "print(3)"}]},
        vendors=OPENAI,
    ),
    Rule(
        "spoken answer (`audio`)",
        ("audio",),
        Fate.TEXT,
        Fate.TEXT,
        {"audio": {"id": "audio_1", "data": "aGk=", "transcript": "Paris it is."}},
        vendors=OPENAI,
    ),
    Rule("refusal", ("refusal",), Fate.TEXT, Fate.TEXT, {"refusal": "I cannot help."}, vendors=OPENAI),
    Rule(
        "legacy `function_call`",
        ("function_call",),
        Fate.CALL,
        Fate.CALL,
        {"function_call": {"name": "lookup", "arguments": '{"city": "Paris"}'}},
        vendors=OPENAI,
    ),
    Rule("anything else", (), Fate.KEPT, Fate.DROPPED, {"safety_ratings": []}),
)
"""`additional_kwargs` of an assistant message."""

METADATA = (
    Rule(
        "stored response, container, format of the content",
        ("id", "container", "output_version"),
        Fate.KEPT,
        Fate.DROPPED,
        {"id": "resp_1", "container": {"id": "container_1"}, "output_version": "v0"},
        pinned="`previous_response_id` or `conversation` is given: who has it, with the Responses API",
    ),
)
"""`response_metadata` of an assistant message."""

WRITTEN = (
    Rule(
        "picture, sound or file by URL or base64, in standard form",
        ("image", "image_url", "audio", "video", "file", "text-plain"),
        Fate.KEPT,
        Fate.KEPT,
        {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
    ),
    Rule(
        "the same in a vendor's form",
        ("input_image", "input_file", "input_audio", "document", "media"),
        Fate.KEPT,
        Fate.STANDARD,
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}},
        vendors=CLAUDE,
    ),
    Rule(
        "file by a vendor's id or address",
        ("file_id", "file_uri"),
        Fate.KEPT,
        Fate.KEPT,
        {"type": "file", "file": {"file_id": "file-abc123"}},
        vendors=OPENAI,
        pinned="always: who can resolve it",
    ),
    Rule(
        "cache marks",
        ("cache_control", "prompt_cache_breakpoint", "cachePoint"),
        Fate.KEPT,
        Fate.DROPPED,
        {"type": "text", "text": "Long rules.", "cache_control": {"type": "ephemeral"}},
        vendors=CLAUDE,
    ),
    Rule(
        "search result given as context",
        ("search_result", "guard_content"),
        Fate.KEPT,
        Fate.TEXT,
        {
            "type": "search_result",
            "title": "Rent",
            "source": "https://r.example",
            "content": [{"type": "text", "text": "Rent is 900."}],
        },
        vendors=SEARCHED,
    ),
    Rule(
        "answer to a vendor's own call",
        ("mcp_approval_response", "computer_call_output", "shell_call_output", "apply_patch_call_output"),
        Fate.KEPT,
        Fate.DROPPED,
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
        vendors=OPENAI,
        pinned="it is the end: same model",
    ),
    Rule(
        "change of the tools within the conversation",
        ("tool_addition", "tool_removal", "additional_tools"),
        Fate.KEPT,
        Fate.KEPT,
        {"type": "additional_tools", "tools": []},
        vendors=OPENAI,
        pinned="always: its vendor",
    ),
    Rule("block of an unknown type", (), Fate.KEPT, Fate.KEPT, {"type": "hologram", "payload": "x"}),
)
"""Blocks of human, system and tool messages. Nothing that a user wrote is dropped."""


@dataclass(frozen=True, slots=True)
class Law:
    """What holds of whole messages."""

    what: str
    becomes: str


LAWS = (
    Law("call id that the vendor refuses", "a hash of it, in the call and in its result"),
    Law("call id that is missing or taken twice", "an id of its own, in the call and in its result"),
    Law("call without a result", "a result that says so follows it"),
    Law("result without a call", "dropped"),
    Law("second result of a call", "replaces the first"),
    Law("result that comes after other messages", "moved up to its call"),
    Law("results of parallel calls", "in the order of the calls"),
    Law("call whose arguments are no JSON, unanswered", "dropped"),
    Law("`FunctionMessage`", "the `ToolMessage` of its call"),
    Law("picture in a tool result, for a model that cannot read it there", "`[image]`"),
    Law("second system message, for a model that takes one", "a human message"),
    Law("name that OpenAI refuses", "with `_` for what is refused"),
    Law("answer of which nothing is left", "`(no answer)`"),
)

RULE_OF: Mapping[str, Rule] = {name: rule for rule in ANSWERS for name in rule.names}
FIELD_OF: Mapping[str, Rule] = {name: rule for rule in FIELDS for name in rule.names}
UNKNOWN = ANSWERS[-1]


def names_of(rows: tuple[Rule, ...], what: str) -> frozenset[str]:
    """Return the names in the row of that title."""
    return next(frozenset(rule.names) for rule in rows if rule.what == what)


SERVER_CALLS = names_of(ANSWERS, "call of a server-side tool")
SERVER_RESULTS = names_of(ANSWERS, "result of a server-side tool")
MADE = names_of(ANSWERS, "picture, sound or file that a model made")
APPLICATION_CALLS = names_of(ANSWERS, "OpenAI's call that the application answers")
APPLICATION_ANSWERS = names_of(WRITTEN, "answer to a vendor's own call")
SIGNED_KEYS = ("signature", "thought_signature")
