"""What comes of one call: what was asked of it, and how its end is judged and booked."""

from __future__ import annotations

from taskrouter.errors import BadAnswer, EmptyAnswer, LocalFailure, ModelCallError, StreamBroken
from taskrouter.execution.account import OpenAttempt
from taskrouter.execution.classify import classify
from taskrouter.execution.commands import Answered, Call, Event, Failed, Gather, Gathered
from taskrouter.execution.course import Course
from taskrouter.execution.partial import Partial
from taskrouter.execution.views import no_view
from taskrouter.outcome import ResponseView


def whole_call(course: Course, open_: OpenAttempt) -> Call:
    """Return the command that asks for a whole answer."""
    visit = open_.visit
    timeout_s = course.timeout_s(open_, course.settings.timeout_s)
    return Call(visit.endpoint, open_.index, visit.role, timeout_s, visit.observer)


def gather_call(course: Course, open_: OpenAttempt) -> Gather:
    """Return the command that has a stream read to its end in the background."""
    settings, visit = course.settings, open_.visit
    first_token_s = course.timeout_s(open_, min(settings.timeout_s, settings.first_token_timeout_s))
    stall_timeout_s = course.limits.within(settings.stall_timeout_s)
    into = Gathered(open_.started_s)
    return Gather(visit.endpoint, open_.index, visit.role, first_token_s, visit.observer, stall_timeout_s, into)


def judged(course: Course, open_: OpenAttempt, event: Event) -> Answered | ModelCallError:
    """Book what came of a call for a whole answer."""
    account = course.account
    if isinstance(event, Failed):
        failed = classify(event.error, open_.model)
        return account.fail(open_, failed, event.at_s, failed.partial if isinstance(failed, StreamBroken) else None)
    assert isinstance(event, Answered), event  # noqa: S101 - the driver's contract
    if not isinstance(event.view, ResponseView):
        return account.fail(open_, no_view(event.view, open_.model), event.at_s, ResponseView())
    if not event.view.shown and (error := course.fault(open_, event.view)):
        return account.fail(open_, error, event.at_s, event.view)
    account.succeed(open_, event.view, event.at_s)
    return event


def judged_stream(course: Course, open_: OpenAttempt, event: Event, into: Gathered) -> Answered | ModelCallError:
    """Book what came of a stream that was read in the background."""
    account, partial, view = course.account, into.partial, into.partial.view()
    if into.first_token_at_s is not None:
        open_.first_token_s = into.first_token_at_s - open_.started_s
    failed = classify(event.error, open_.model) if isinstance(event, Failed) else stream_fault(course, open_, partial)
    if failed is not None:
        return fail_stream(course, open_, failed, partial)
    assert isinstance(event, Answered), event  # noqa: S101 - the driver's contract
    account.succeed(open_, view, event.at_s)
    return Answered(event.native, view, event.at_s, event.index)


def stream_fault(
    course: Course, open_: OpenAttempt, partial: Partial, *, committed: bool = False
) -> ModelCallError | None:
    """Return what is wrong with a stream that has ended cleanly; `committed`: its reader has got something of it."""
    model, view = open_.model, partial.view()
    if not (partial.meaningful or course.gate.is_refusal(view)):
        return EmptyAnswer(model, detail="ended its stream without an answer")
    if course.expects_finish_of(model) and partial.finish_reason is None:
        return BadAnswer(model, detail="ended its stream without a finish reason")
    return None if committed else course.fault(open_, view)


def fail_stream(course: Course, open_: OpenAttempt, error: ModelCallError, partial: Partial) -> ModelCallError:
    """Book the failure of a stream of which nothing has been handed on.

    A failure that is local costs nothing, unless the provider had answered before it.
    """
    view = partial.view()
    answered = partial.meaningful or view.usage is not None or (partial.began and isinstance(error, LocalFailure))
    return course.account.fail(open_, error, course.limits.now_s, view if answered else None)
