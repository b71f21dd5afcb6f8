"""Helpers to play the engine without a driver: a script of what happens, and the commands it led to."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from taskrouter import Decision, Outcome, Plan, ResponseView, Step, TaskProfile, ToolCall, Usage
from taskrouter.config import ExecutionConfig, ModelConfig
from taskrouter.decision import Board
from taskrouter.execution import Engine, Gate, SilentObserver
from taskrouter.execution.commands import (
    Answered,
    Call,
    CloseStream,
    Done,
    Emit,
    Ended,
    Failed,
    OpenStream,
    Read,
    Relay,
    Reserve,
    Reserved,
    Wait,
)
from taskrouter.ports import Access, AnswerReader, StepObserver, Wallet

MODELS = ("first", "second", "third")


def cards(**windows: int) -> dict[str, ModelConfig]:
    return {
        name: ModelConfig(
            id=name,
            model=name,
            input_usd_per_million=10.0,
            output_usd_per_million=100.0,
            context_tokens=windows.get(name),
        )
        for name in MODELS
    }


def decision(*models: str, plan: Plan | None = None) -> Decision:
    return Decision(
        id="dec_1",
        plan=plan or Plan(models=(models[0],)),
        profile=TaskProfile(task_type="chat", confidence=1.0, input_tokens=100, output_tokens=50),
        policy="safe",
        policy_version="0",
        reason="incumbent",
        detail="",
        incumbent=models[0] if plan is None else plan.models[-1],
        fallbacks=tuple(models[1:] if plan is None else models),
        rejected=(),
        propensity=1.0,
        duration_s=0.0,
        board=Board(cards=[], quality=[], scores=[], order=[]),
    )


def engine(
    *models: str,
    step: Step | None = None,
    settings: ExecutionConfig | None = None,
    observer: StepObserver | None = None,
    pool: Mapping[str, ModelConfig] | None = None,
    expects_finish: bool | Collection[str] = False,
    unlimited: bool = False,
    access: Access | None = None,
    wallet: Wallet | None = None,
    gate: Gate | None = None,
    plan: Plan | None = None,
    readers: Mapping[str, AnswerReader] | None = None,
) -> Engine:
    """With a plan, `models` are its fallbacks alone."""
    return Engine(
        step=step or Step(messages=[{"role": "user", "content": "hello"}]),
        decision=decision(*(models or (MODELS if plan is None else ())), plan=plan),
        cards=pool or cards(),
        settings=settings or ExecutionConfig(),
        observer=observer or SilentObserver(),
        rng=random.Random(0),
        started_s=0.0,
        expects_finish=expects_finish,
        unlimited=unlimited,
        access=access,
        wallet=wallet,
        gate=gate,
        readers=readers,
    )


def text(words: str, **fields: Any) -> ResponseView:
    return ResponseView(text=words, **fields)


def call(name: str, arguments: str = "{}") -> ResponseView:
    return ResponseView(tool_calls=(ToolCall(name=name, arguments=arguments, id="c1"),))


def usage(tokens_in: int, tokens_out: int) -> Usage:
    return Usage(input_tokens=tokens_in, output_tokens=tokens_out)


END = object()
"""In a script: the stream ends cleanly."""


class Play:
    """Plays a script against an engine; every event takes a tenth of a second, waits take as long as they say."""

    def __init__(self, steps: Any, script: Iterable[object]) -> None:
        self.commands: list[object] = []
        self.emitted: list[object] = []
        self.outcome: Outcome[Any] | None = None
        self.now_s = 0.0
        self._script = iter(script)
        event: Any = None
        try:
            while True:
                command = steps.send(event)
                self.commands.append(command)
                event = self._event(command)
        except StopIteration as stop:
            self.outcome = stop.value

    def _event(self, command: object) -> object:
        if isinstance(command, Wait):
            self.now_s += command.seconds
            return Done(self.now_s)
        if isinstance(command, Emit):
            self.emitted.append(command.native)
            return Done(self.now_s)
        if isinstance(command, Relay):
            self.emitted.append(command.native)
            command = Read(command.timeout_s)
        if isinstance(command, CloseStream):
            return Done(self.now_s)
        if isinstance(command, Reserve):
            return Reserved(command.work(), self.now_s)
        self.now_s += 0.1
        return self._answer(command, next(self._script))

    def _answer(self, command: object, happened: object) -> object:
        if isinstance(happened, Exception):
            return Failed(happened, self.now_s)
        if isinstance(command, OpenStream):
            return Done(self.now_s)
        if happened is END:
            assert isinstance(command, Read)
            return Ended(self.now_s)
        assert isinstance(happened, ResponseView)
        return Answered(happened.text or happened, happened, self.now_s)

    @property
    def called(self) -> list[str]:
        return [c.model for c in self.commands if isinstance(c, Call | OpenStream)]

    @property
    def endpoints(self) -> list[str]:
        return [c.endpoint.id for c in self.commands if isinstance(c, Call | OpenStream)]

    @property
    def waits(self) -> list[float]:
        return [c.seconds for c in self.commands if isinstance(c, Wait)]
