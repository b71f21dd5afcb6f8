"""The labeller `embeddings`, with a stand-in for the provider over HTTP and one for sentence-transformers."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.core.calibration.conftest import models, table
from tests.core.embeddings.stand_in import Counting, EmbeddingServer, SentenceTransformer, serving

from taskrouter import ConfigurationError, Router, Step, StepContext
from taskrouter.config import LabellerConfig
from taskrouter.embeddings.examples import LABELS, builtin_examples
from taskrouter.embeddings.labeller import EmbeddingLabeller
from taskrouter.errors import MissingExtraError
from taskrouter.profile import UNKNOWN
from taskrouter.simulator import RunningServer

__all__ = ["models", "table"]

LOCAL = "sentence-transformers/all-MiniLM-L6-v2"
REMOTE = "litellm:openai/text-embedding-3-small"
ODD = "Qwx zrt plmk vbn."


@pytest.fixture
def provider() -> Iterator[EmbeddingServer]:
    with serving() as server:
        yield server


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A stand-in for sentence-transformers; the names of models that were loaded."""
    module = ModuleType("sentence_transformers")
    vars(module)["SentenceTransformer"] = SentenceTransformer
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.setattr(SentenceTransformer, "made", [])
    return SentenceTransformer.made


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Labelled prompts of words that no other example has."""
    rows = [{"text": f"Qwx zrt plmk vbn {word}.", "task_type": "extraction"} for word in ("one", "two", "six", "ten")]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    return path


def config(model: str | None = LOCAL, **options: Any) -> LabellerConfig:
    return LabellerConfig(name="embeddings", model=model, options=options)


def step(system: str = ODD, **context: Any) -> Step:
    messages = [{"role": "system", "content": system}] if system else []
    return Step(messages=[*messages, {"role": "user", "content": "fgh"}], context=StepContext(**context))


def told(labeller: EmbeddingLabeller, system: str, **context: Any) -> tuple[str, float] | None:
    one = step(system, **context)
    found = labeller.label(one.view, one.context)
    return None if found is None else found.alternatives[0]


# --- the labeller ------------------------------------------------------------------------------------------------


def test_there_are_about_fifteen_examples_of_everything_and_none_twice() -> None:
    examples = builtin_examples()
    counts = {label: sum(e.task_type == label for e in examples) for label in LABELS}
    assert all(14 <= count <= 18 for count in counts.values()), counts
    assert len({e.text.lower() for e in examples}) == len(examples)
    assert all(len(e.text) < 200 for e in examples)


def test_a_prompt_is_labelled_by_the_examples_that_are_like_it(own: Path) -> None:
    labeller = EmbeddingLabeller(config(examples=str(own)), Counting())
    task_type, share = told(labeller, ODD) or ("", 0.0)
    assert task_type == "extraction"
    assert share > 0.7


def test_a_prompt_that_is_like_nothing_is_not_labelled(own: Path) -> None:
    labeller = EmbeddingLabeller(config(examples=str(own), builtin=True), Counting())
    assert told(labeller, "Mnbv cxzl kjhg fdsa poiu ytre wqas zxcv.") is None


def test_a_prompt_that_leaves_the_task_open_wins_no_task_type() -> None:
    found = told(EmbeddingLabeller(config(), Counting()), "You are a helpful assistant.")
    assert found is None or found[0] == UNKNOWN or found[1] < 0.5


def test_without_a_system_prompt_the_names_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    rows = [{"text": f"zrt qwx {n}", "task_type": "planning"} for n in range(4)]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    encoder = Counting()
    labeller = EmbeddingLabeller(config(examples=str(path)), encoder)
    assert (told(labeller, "", agent="zrt_qwx") or ("",))[0] == "planning"
    assert encoder.batches[-1] == ["zrt qwx"]


def test_what_the_user_writes_is_not_read(own: Path) -> None:
    encoder = Counting()
    told(EmbeddingLabeller(config(examples=str(own)), encoder), ODD, agent="a")
    assert encoder.batches[-1] == [ODD]


def test_examples_are_encoded_once_and_only_when_somebody_asks(own: Path) -> None:
    encoder = Counting()
    labeller = EmbeddingLabeller(config(examples=str(own)), encoder)
    assert encoder.batches == []
    for _ in range(3):
        told(labeller, ODD)
    assert [len(batch) for batch in encoder.batches] == [len(builtin_examples()) + 4, 1, 1, 1]


# --- the cache ---------------------------------------------------------------------------------------------------


def test_vectors_are_kept_in_the_file_for_the_next_start(own: Path, tmp_path: Path) -> None:
    cache = tmp_path / "vectors.npz"
    answers = []
    for batches in (2, 1):
        encoder = Counting()
        answers.append(told(EmbeddingLabeller(config(examples=str(own), cache=str(cache)), encoder), ODD) or ("", 0.0))
        assert len(encoder.batches) == batches
    assert [task_type for task_type, _ in answers] == ["extraction"] * 2
    assert answers[0][1] == pytest.approx(answers[1][1])
    assert b"Qwx" not in cache.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "examples", "encoder"])
def test_a_file_that_does_not_fit_is_made_anew(own: Path, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "vectors.npz"
    first = Counting()
    told(EmbeddingLabeller(config(examples=str(own), cache=str(cache)), first), ODD)
    second = Counting()
    if damage == "encoder":
        second.name = "other"
    elif damage == "examples":
        own.write_text(own.read_text() + json.dumps({"text": "Ghjk.", "task_type": "chat"}), encoding="utf-8")
    else:
        whole = cache.read_bytes()
        cache.write_bytes({"empty": b"", "text": b"no file of ours", "cut": whole[: len(whole) // 2]}[damage])
    told(EmbeddingLabeller(config(examples=str(own), cache=str(cache)), second), ODD)
    assert len(second.batches) == 2
    third = Counting()
    third.name = second.name
    told(EmbeddingLabeller(config(examples=str(own), cache=str(cache)), third), ODD)
    assert len(third.batches) == 1


def test_a_file_that_cannot_be_written_is_no_reason_to_fail(
    own: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labeller = EmbeddingLabeller(config(examples=str(own), cache=str(tmp_path / "none" / "v.npz")), Counting())
    assert told(labeller, ODD)
    assert "could not be kept" in caplog.text


# --- through a router --------------------------------------------------------------------------------------------


def labelled(router: Router) -> Any:
    assert router.labelling is not None
    assert router.labelling.wait(60.0)
    return router.labelling.status


def profiling(own: Path, model: str, **labeller: Any) -> dict[str, Any]:
    options = {"examples": str(own), **labeller.pop("options", {})}
    return {"labeller": {"name": "embeddings", "model": model, "options": options, **labeller}}


def test_a_model_in_this_process_labels_what_the_classifier_leaves_open(
    table: Callable[..., Any], models: RunningServer, own: Path, library: list[str]
) -> None:
    rules = [{"name": "here", "regions": ["eu"]}]  # the text stays in the process, so nothing forbids it
    whole = table(cards={"dear": {"regions": ["eu"]}}, rules=rules, profiling=profiling(own, LOCAL))
    with Router.from_config(whole) as router:
        assert router.complete(step()).decision.profile.task_type == "unknown"
        assert labelled(router).answered == 1
        profile = router.route(step()).profile
        assert (profile.task_type, profile.evidence) == ("extraction", "identity")
    assert library == [LOCAL]


def test_a_providers_model_labels_through_litellm(
    table: Callable[..., Any], models: RunningServer, own: Path, provider: EmbeddingServer, monkeypatch: Any
) -> None:
    monkeypatch.setenv("EMBEDDING_KEY", "sk-embedding")
    options = {"base_url": provider.base_url, "api_key": "env:EMBEDDING_KEY"}
    with Router.from_config(table(profiling=profiling(own, REMOTE, options=options))) as router:
        router.complete(step())
        assert labelled(router).answered == 1
        assert router.route(step()).profile.task_type == "extraction"
    texts = [text for body in provider.asked for text in body["input"]]
    assert texts.count(ODD) == 1
    assert len(texts) == len(builtin_examples()) + 4 + 1
    assert {body["model"] for body in provider.asked} == {"text-embedding-3-small"}
    assert set(provider.keys) == {"Bearer sk-embedding"}


def test_a_prompt_that_may_not_leave_its_region_is_not_sent_to_a_provider(
    table: Callable[..., Any], models: RunningServer, own: Path, provider: EmbeddingServer
) -> None:
    options = {"base_url": provider.base_url}
    for place, sent in (({}, False), ({"regions": ["us"]}, False), ({"regions": ["eu"]}, True)):
        whole = table(
            cards={"dear": {"regions": ["eu"]}},
            rules=[{"name": "here", "regions": ["eu"]}],
            profiling=profiling(own, REMOTE, options=options, **place),
        )
        with Router.from_config(whole) as router:
            router.complete(step())
            assert labelled(router).answered == int(sent)
        assert bool(provider.asked) == sent


def test_a_provider_that_is_away_is_nobodys_concern(
    table: Callable[..., Any], models: RunningServer, own: Path, provider: EmbeddingServer
) -> None:
    provider.status = 401
    with Router.from_config(table(profiling=profiling(own, REMOTE, options={"base_url": provider.base_url}))) as router:
        assert router.complete(step()).status == "ok"
        status = labelled(router)
        assert (status.answered, status.without) == (0, {"AuthenticationError": 1})


# --- what is wrong is said when it is made -----------------------------------------------------------------------


@pytest.mark.parametrize("model", [None, "", "text-embedding-3-small", "litellm:", "sentence-transformers/"])
def test_a_model_that_is_none_is_refused(model: str | None) -> None:
    with pytest.raises(ConfigurationError, match="write 'sentence-transformers/all-MiniLM-L6-v2'"):
        EmbeddingLabeller(LabellerConfig.model_construct(name="embeddings", model=model, options={}))


def test_options_are_checked(library: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"profiling\.labeller\.options: unknown key 'exampels'; did you mean"):
        EmbeddingLabeller(config(exampels="x"))
    with pytest.raises(ConfigurationError, match="env:NAME"):
        EmbeddingLabeller(config(api_key="sk-secret"))
    with pytest.raises(ConfigurationError, match="two task types"):
        EmbeddingLabeller(config(builtin=False))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("secret words", ":2: no example"),
        ('{"text": "secret"}', ":2: task_type must be one of"),
        ('{"text": "secret", "task_type": "poetry"}', ":2: task_type must be one of"),
        ('{"text": " ", "task_type": "chat"}', ":2: no example"),
        ('["secret"]', ":2: no example"),
    ],
)
def test_a_line_that_is_no_example_is_named_and_not_quoted(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(f'{{"text": "fine", "task_type": "chat"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said) as raised:
        EmbeddingLabeller(config(examples=str(path)), Counting())
    assert "secret" not in str(raised.value)


def test_a_file_that_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    for name, said in (("none.jsonl", "cannot be read"), ("empty.jsonl", "no examples in it")):
        with pytest.raises(ConfigurationError, match=said):
            EmbeddingLabeller(config(examples=str(tmp_path / name)), Counting())


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    gone = {"sentence_transformers", "litellm"}
    monkeypatch.setattr("taskrouter.embeddings.encoders.find_spec", lambda n: None if n in gone else find(n))
    for name in gone:
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ConfigurationError, match="pip install sentence-transformers"):
        EmbeddingLabeller(config(LOCAL))
    with pytest.raises(MissingExtraError, match=r"taskrouter\[embeddings\]"):
        EmbeddingLabeller(config(REMOTE))


def test_a_key_that_is_not_set_is_said_without_sending_anything(own: Path, provider: EmbeddingServer) -> None:
    labeller = EmbeddingLabeller(config(REMOTE, examples=str(own), base_url=provider.base_url, api_key="env:NO_SUCH"))
    with pytest.raises(ConfigurationError, match="NO_SUCH is not set"):
        told(labeller, ODD)
    assert provider.asked == []


def test_no_router_pays_for_what_it_does_not_use() -> None:
    code = (
        "import sys; from taskrouter import Router; Router(['openai/gpt-4o']);"
        "print([m for m in sys.modules if m in ('numpy', 'litellm', 'taskrouter.labelling') or "
        "m == 'taskrouter.embeddings.labeller'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
