"""Finding plugins and collecting what they offer; our own parts come in through the same hooks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError
from typing import Any

import pluggy

from taskrouter import hookspecs
from taskrouter.embeddings import plugin as embeddings
from taskrouter.errors import PluginError
from taskrouter.execution import backends
from taskrouter.hookspecs import PROJECT
from taskrouter.planning import selectors
from taskrouter.profiling import plugin as profiling

logger = logging.getLogger("taskrouter.plugins")

_OWN = (selectors, backends, profiling, embeddings)


def load_plugins(extra: Iterable[object] = ()) -> pluggy.PluginManager:
    """Return a plugin manager with our own parts, the installed plugins and `extra`.

    Raises:
        PluginError: a plugin cannot be imported, or one of its hooks does not exist.
    """
    if isinstance(extra, str | bytes) or not isinstance(extra, Iterable):
        raise PluginError(f"plugins must be a list of plugin objects, not {extra!r:.80}")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    for part in _OWN:
        manager.register(part)
    for name, plugin in _installed():
        manager.register(plugin, name)
    for plugin in extra:
        _register(manager, plugin)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        known = ", ".join(sorted(name for name in vars(hookspecs) if name.startswith(f"{PROJECT}_")))
        raise PluginError(f"{error}; known hooks: {known}") from error
    return manager


def _register(manager: pluggy.PluginManager, plugin: object) -> None:
    if isinstance(plugin, type):
        raise PluginError(f"plugin {plugin.__name__} is a class: pass an object, {plugin.__name__}()")
    if manager.is_registered(plugin):
        raise PluginError(f"plugin {plugin!r} is given twice")
    try:
        manager.register(plugin)
    except pluggy.PluginValidationError as error:
        raise PluginError(f"plugin {plugin!r} cannot be registered: {error}") from error
    if not manager.get_hookcallers(plugin):
        raise PluginError(f"plugin {plugin!r} implements no hook: mark its methods with @taskrouter.hookimpl")


@cache
def _installed() -> tuple[tuple[str, object], ...]:
    """The plugins of installed distributions. Scanning them takes milliseconds, so it is done once per process."""
    scout = pluggy.PluginManager(PROJECT)
    try:
        scout.load_setuptools_entrypoints(PROJECT)
    except (ImportError, PackageNotFoundError, pluggy.PluginValidationError) as error:
        raise PluginError(f"an installed plugin of the group {PROJECT!r} cannot be loaded: {error}") from error
    return tuple((name, plugin) for name, plugin in scout.list_name_plugin() if plugin is not None)


def registered(manager: pluggy.PluginManager, hook: str, **arguments: object) -> list[Any]:
    """Call a registration hook, and return what each plugin offers.

    Raises:
        PluginError: a plugin fails in it; the message names the plugin, and the failure is the cause.
    """
    given = []
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        try:
            given.append(implementation.function(*(arguments[name] for name in implementation.argnames)))
        except Exception as error:
            where = f"plugin {implementation.plugin!r} failed in {hook}"
            raise PluginError(f"{where}: {type(error).__name__}: {error}") from error
    return [offer for offer in given if offer is not None]


_NEEDED: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "policy": (callable, "a callable that makes a selector from its PolicyConfig"),
    "backend": (callable, "a callable that makes a backend"),
    "labeller": (callable, "a callable that makes a labeller from its LabellerConfig and an Ask"),
    "redactor": (callable, "a callable that returns a text without what is private in it"),
    "classifier": (lambda it: callable(getattr(it, "classify", None)) and hasattr(it, "name"), "a named Classifier"),
}
"""What each kind of part must be at least, and how to say so."""


def offered(collected: Iterable[Mapping[str, Any]], what: str) -> dict[str, Any]:
    """Join what the plugins offer under one kind of name.

    Raises:
        PluginError: two plugins offer the same name, or one offers no mapping, or a part that cannot be used.
    """
    usable, needed = _NEEDED.get(what, (bool, "an object"))
    joined: dict[str, Any] = {}
    for part in collected:
        if not isinstance(part, Mapping):
            raise PluginError(f"a plugin offers a {type(part).__name__}; it must be a mapping from name to {what}")
        for name, value in part.items():
            if name in joined:
                raise PluginError(f"two plugins offer a {what} named {name!r}: rename one of them")
            if not isinstance(name, str):
                raise PluginError(f"a plugin offers a {what} named {name!r}; a name is text")
            if not usable(value):
                raise PluginError(f"the {what} {name!r} is {value!r:.80}; it must be {needed}")
            joined[name] = value
    return joined
