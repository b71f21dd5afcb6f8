"""Continuous evaluation: the models of a pool on the user's own cases, and what a router learns from that."""

from taskrouter.calibration.calibrate import Progress, calibrate
from taskrouter.calibration.report import CalibrationReport, IdentityReport, ModelReport

__all__ = ["CalibrationReport", "IdentityReport", "ModelReport", "Progress", "calibrate"]
