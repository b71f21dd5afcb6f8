"""Carrying a decision out: attempts, retries and fallbacks, written once and driven from sync and async code."""

from taskrouter.execution.drivers import Pull, View, drive, drive_async
from taskrouter.execution.engine import Engine
from taskrouter.execution.gates import Gate
from taskrouter.execution.observer import SilentObserver
from taskrouter.execution.streams import RoutedAsyncStream, RoutedStream, streamed
from taskrouter.execution.views import chat_completion_view

__all__ = [
    "Engine",
    "Gate",
    "Pull",
    "RoutedAsyncStream",
    "RoutedStream",
    "SilentObserver",
    "View",
    "chat_completion_view",
    "drive",
    "drive_async",
    "streamed",
]
