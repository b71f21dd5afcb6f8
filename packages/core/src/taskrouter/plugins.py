"""Finding plugins and collecting what they offer; our own parts come in through the same hooks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError
from typing import Any

import pluggy

from taskrouter import hookspecs
from taskrouter.errors import PluginError
from taskrouter.execution import backends
from taskrouter.hookspecs import PROJECT
from taskrouter.planning import selectors
from taskrouter.profiling import plugin as profiling

logger = logging.getLogger("taskrouter.plugins")

_OWN = (selectors, backends, profiling)


def load_plugins(extra: Iterable[object] = ()) -> pluggy.PluginManager:
    """Return a plugin manager with our own parts, the installed plugins and `extra`.

    Raises:
        PluginError: a plugin cannot be imported, or one of its hooks does not exist.
    """
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


def offered(collected: Iterable[Mapping[str, Any]], what: str) -> dict[str, Any]:
    """Join what the plugins offer under one kind of name.

    Raises:
        PluginError: two plugins offer the same name, or one offers no mapping.
    """
    joined: dict[str, Any] = {}
    for part in collected:
        if not isinstance(part, Mapping):
            raise PluginError(f"a plugin offers a {type(part).__name__}; it must be a mapping from name to {what}")
        for name, value in part.items():
            if name in joined:
                raise PluginError(f"two plugins offer a {what} named {name!r}: rename one of them")
            joined[name] = value
    return joined
