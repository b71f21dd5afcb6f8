"""What becomes of each part, row by row of the published table."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from tests.docs.pages import ROOT, code, rows
from tests.langchain.transcripts.people import GIVER, KIN, POOL, call, result, said

from langchain_taskrouter.transcripts import may_continue, transcript_for
from langchain_taskrouter.transcripts.rules import ANSWERS, FIELDS, LAWS, METADATA, WRITTEN, Fate, Rule
from langchain_taskrouter.transcripts.vendors import LINKED

PAGE = ROOT / "docs/transcripts.md"
TABLES = {
    "### In an answer": ANSWERS,
    "### Beside an answer": FIELDS,
    "### In its metadata": METADATA,
    "### In what users and tools wrote": WRITTEN,
}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "weather"}}


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_shows_the_table_that_the_code_goes_by(heading: str) -> None:
    shown = [
        row for row in rows(PAGE, heading) if code(row[1]) or row[0] in ("block of an unknown type", "anything else")
    ]
    assert [cells(rule) for rule in TABLES[heading]] == [[row[0], code(row[1]), *row[2:]] for row in shown]


def cells(rule: Rule) -> list[Any]:
    return [rule.what, list(rule.names), rule.same_vendor.value, rule.other_vendor.value, rule.pinned]


def test_the_page_shows_every_law() -> None:
    shown = {row[0]: row[1] for row in rows(PAGE, "### Calls, results and whole messages")}
    assert shown.items() >= {law.what: law.becomes for law in LAWS}.items()


def giver_of(rule: Rule) -> str:
    return next((GIVER[vendor] for vendor in sorted(rule.vendors) if vendor in GIVER), "opus")


def conversation(rule: Rule) -> list[BaseMessage]:
    giver, example = giver_of(rule), dict(rule.example)
    if rule in METADATA:
        return [HumanMessage("?"), said(giver, "Paris.", response_metadata=example), HumanMessage("And?")]
    if rule in FIELDS:
        text = "" if rule.other_vendor in (Fate.TEXT, Fate.CALL) else "Paris."
        answers = [result(given="", name="lookup")] if rule.other_vendor is Fate.CALL else []
        return [HumanMessage("?"), said(giver, text, additional_kwargs=example), *answers, HumanMessage("And?")]
    content: list[Any] = [example, {"type": "text", "text": "And so."}]
    if rule.what == "tool call":
        answer = said(giver, content, tool_calls=[call("toolu_1", city="Paris")])
        return [HumanMessage("?"), answer, result(given="toolu_1"), HumanMessage("And?")]
    return [HumanMessage("?"), said(giver, content), HumanMessage("And?")]


@pytest.mark.parametrize("rule", [*ANSWERS, *FIELDS, *METADATA], ids=lambda rule: rule.what)
def test_the_model_that_said_it_sees_it_untouched(rule: Rule) -> None:
    messages = conversation(rule)
    assert transcript_for(POOL[giver_of(rule)], messages, POOL) is messages


@pytest.mark.parametrize("reader", ["same_vendor", "mistral", "litellm", "other"])
@pytest.mark.parametrize("rule", [*ANSWERS, *FIELDS, *METADATA], ids=lambda rule: rule.what)
def test_another_model_sees_what_the_table_says(rule: Rule, reader: str) -> None:
    messages = conversation(rule)
    before = deepcopy(messages)
    giver = giver_of(rule)
    kin = reader == "same_vendor"
    reading = POOL[KIN[giver] if kin else {"other": "gpt" if giver == "opus" else "opus"}.get(reader, reader)]
    shown = transcript_for(reading, messages, POOL)
    assert messages == before
    answer = next(m for m in shown if isinstance(m, AIMessage))
    fate = rule.same_vendor if kin and reading.vendor not in LINKED else rule.other_vendor
    if rule in METADATA:
        assert bool(answer.response_metadata.keys() & rule.example.keys()) is (fate is Fate.KEPT)
    elif rule in FIELDS:
        check_field(fate, rule, answer)
    else:
        check_block(fate, rule, answer)
    assert may_continue(messages, POOL) is None


def check_field(fate: Fate, rule: Rule, answer: AIMessage) -> None:
    assert (answer.additional_kwargs == rule.example) is (fate is Fate.KEPT)
    if fate is Fate.TEXT:
        assert answer.content in ("Paris it is.", "I cannot help.", "[code interpreter]\nprint(3)")
    elif fate is Fate.CALL:
        assert [(c["name"], c["args"]) for c in answer.tool_calls] == [("lookup", {"city": "Paris"})]
    else:
        assert answer.content == "Paris."


def check_block(fate: Fate, rule: Rule, answer: AIMessage) -> None:
    if fate in (Fate.KEPT, Fate.UNSIGNED):
        assert answer.content == [rule.example, {"type": "text", "text": "And so."}]
    elif fate in (Fate.DROPPED, Fate.PAIRED, Fate.CALL):
        assert answer.text == "And so."
        assert rule.example not in (answer.content if isinstance(answer.content, list) else [])
    else:
        assert isinstance(answer.content, str)
        assert answer.content.endswith("And so.")
        assert len(answer.content) > len("And so.")
    if rule.what == "tool call":
        assert [(c["name"], c["args"]) for c in answer.tool_calls] == [("lookup", {"city": "Paris"})]


def test_a_call_of_a_server_side_tool_stays_with_its_result_for_another_model_of_the_vendor() -> None:
    found = next(rule.example for rule in ANSWERS if rule.what == "result of a server-side tool")
    content = [SEARCH, dict(found), {"type": "text", "text": "Sunny."}]
    messages = [HumanMessage("?"), said("opus", content), HumanMessage("And?")]
    assert transcript_for(POOL["haiku"], messages, POOL) is messages


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (SEARCH, "[web_search]\nweather"),
        (
            {"type": "web_search_tool_result", "content": [{"title": "T", "url": "u", "encrypted_content": "Eq"}]},
            "[web search]\nT\nu",
        ),
        (
            {"type": "bash_code_execution_tool_result", "content": {"stdout": "3", "stderr": "", "return_code": 0}},
            "[bash code execution]\n3",
        ),
        (
            {
                "type": "web_fetch_tool_result",
                "content": {"url": "u", "content": {"type": "document", "source": {"type": "text", "data": "All."}}},
            },
            "[web fetch]\nu\nAll.",
        ),
        ({"type": "mcp_tool_result", "content": [{"type": "text", "text": "Done."}]}, "[mcp]\nDone."),
        (
            {"type": "code_interpreter_call", "id": "ci_1", "code": "1+2", "outputs": [{"type": "logs", "logs": "3"}]},
            "[code interpreter]\n1+2\n3",
        ),
        ({"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "q"}}, "[web search]\nq"),
        ({"type": "mcp_call", "id": "mcp_1", "name": "roll", "arguments": "{}", "output": "4"}, "[roll]\n{}\n4"),
        (
            {"type": "computer_call", "id": "cu_1", "action": {"type": "click", "x": 1, "y": 2}},
            '[computer]\n{"type": "click", "x": 1, "y": 2}',
        ),
        ({"type": "server_tool_call", "name": "web_search", "args": {"query": "q"}}, "[web_search]\nq"),
        ({"type": "server_tool_result", "output": "found"}, "[tool result]\nfound"),
        ({"type": "executable_code", "executable_code": "1+2", "language": "python"}, "[executable_code]\n1+2"),
        ({"type": "image_generation_call", "id": "ig_1", "result": "aGk="}, "[image generation]"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}, "[image]"),
        ({"type": "non_standard", "value": {"type": "refusal", "refusal": "No."}}, "No."),
        ({"type": "compaction", "encrypted_content": "Eq"}, "(no answer)"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_what_stands_for_a_block_says_what_it_says_in_the_open(block: dict[str, Any], text: str) -> None:
    messages = [HumanMessage("?"), said("opus", [block]), HumanMessage("And?")]
    assert transcript_for(POOL["mistral"], messages, POOL)[1].content == text


@pytest.mark.parametrize("rule", WRITTEN, ids=lambda rule: rule.what)
def test_its_vendor_sees_what_a_user_wrote_untouched(rule: Rule) -> None:
    reader = next((s for s in POOL.values() if s.vendor in rule.vendors), POOL["opus"])
    messages: list[BaseMessage] = [HumanMessage([{"type": "text", "text": "See."}, dict(rule.example)])]
    assert transcript_for(reader, messages, POOL) is messages


@pytest.mark.parametrize("reader", ["opus", "gpt", "gemini", "mistral", "litellm"])
@pytest.mark.parametrize("rule", WRITTEN, ids=lambda rule: rule.what)
def test_other_vendors_see_what_a_user_wrote_in_their_form(rule: Rule, reader: str) -> None:
    messages: list[BaseMessage] = [HumanMessage([{"type": "text", "text": "See."}, dict(rule.example)])]
    content: Any = transcript_for(POOL[reader], messages, POOL)[0].content
    assert content[0] == {"type": "text", "text": "See."}
    if POOL[reader].vendor in rule.vendors or rule.other_vendor is Fate.KEPT:
        assert content[1] == rule.example
    elif rule.other_vendor is Fate.STANDARD:
        assert content[1] == {"type": "file", "base64": "aGk=", "mime_type": "application/pdf"}
    elif rule.other_vendor is Fate.TEXT:
        assert content[1] == {"type": "text", "text": "Rent\nRent is 900.\nhttps://r.example"}
    else:
        assert content[1:] in ([], [{"type": "text", "text": "Long rules."}])


@pytest.mark.parametrize(
    ("block", "standard"),
    [
        ({"type": "input_text", "text": "Hi."}, {"type": "text", "text": "Hi."}),
        (
            {"type": "input_image", "image_url": "https://i.example"},
            {"type": "image_url", "image_url": {"url": "https://i.example"}},
        ),
        (
            {"type": "input_file", "file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"},
            {"type": "file", "base64": "aGk=", "mime_type": "application/pdf", "extras": {"filename": "a.pdf"}},
        ),
        ({"type": "input_file", "file_url": "https://f.example"}, {"type": "file", "url": "https://f.example"}),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk="}},
            {"type": "file", "base64": "aGk=", "mime_type": "application/pdf"},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
            {"type": "audio", "base64": "aGk=", "mime_type": "audio/mp3"},
        ),
        (
            {"type": "media", "mime_type": "video/mp4", "data": "aGk="},
            {"type": "video", "base64": "aGk=", "mime_type": "video/mp4"},
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://i.example"}},
            {"type": "image", "url": "https://i.example"},
        ),
        (
            {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "All."}},
            {"type": "text", "text": "T\nAll."},
        ),
    ],
    ids=lambda value: value["type"],
)
def test_a_part_in_a_vendors_form_becomes_standard(block: dict[str, Any], standard: dict[str, Any]) -> None:
    messages: list[BaseMessage] = [HumanMessage([block])]
    assert transcript_for(POOL["mistral"], messages, POOL)[0].content == [standard]


def test_cache_marks_stay_with_who_knows_them() -> None:
    marks = {"cache_control": {"type": "ephemeral"}, "prompt_cache_breakpoint": {"mode": "explicit"}}
    messages: list[BaseMessage] = [HumanMessage([{"type": "text", "text": "Rules.", "extras": dict(marks), **marks}])]
    claude: Any = transcript_for(POOL["opus"], messages, POOL)[0].content[0]
    gpt: Any = transcript_for(POOL["gpt"], messages, POOL)[0].content[0]
    mistral: Any = transcript_for(POOL["mistral"], messages, POOL)[0].content[0]
    assert (claude.keys(), claude["extras"].keys()) == ({"type", "text", "extras", "cache_control"}, {"cache_control"})
    assert gpt["extras"].keys() == {"prompt_cache_breakpoint"}
    assert mistral == {"type": "text", "text": "Rules."}


def test_a_bedrock_cache_point_goes_to_bedrock_only() -> None:
    messages: list[BaseMessage] = [HumanMessage([{"type": "text", "text": "Hi."}, {"cachePoint": {"type": "default"}}])]
    assert transcript_for(POOL["opus"], messages, POOL)[0].content == [{"type": "text", "text": "Hi."}]


def test_gemini_signatures_on_text_are_taken_off_for_another_gemini() -> None:
    block = {"type": "text", "text": "Paris.", "extras": {"signature": "c2ln"}}
    messages = [HumanMessage("?"), said("gemini", [block]), HumanMessage("And?")]
    assert transcript_for(POOL["flash"], messages, POOL)[1].content == [
        {"type": "text", "text": "Paris.", "extras": {}}
    ]
    assert transcript_for(POOL["gpt"], messages, POOL)[1].content == "Paris."
