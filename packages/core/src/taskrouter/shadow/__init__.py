"""Shadows: what another plan would have answered, on a share of the steps, behind the user's calls."""

from taskrouter.shadow.shadow import Shadow, ShadowStatus

__all__ = ["Shadow", "ShadowStatus"]
