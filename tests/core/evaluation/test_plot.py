"""The plot: a file of the wanted kind, and an error before the work where none can be written."""

import pytest

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.harness import evaluate
from taskrouter.evaluation.plot import check_plot, plot
from taskrouter.evaluation.recordings import read_recordings


@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_the_suffix_decides_the_format(judged_file, learned_file, tmp_path, name, magic):
    plot(evaluate(read_recordings([judged_file]), read_recordings([learned_file])), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_models_that_cost_nothing_have_a_place_too(make_line, write_recording, tmp_path):
    rows = [make_line(str(i), "code", f"prompt {i}", 1, i % 2, 0) for i in range(6)]
    for row in rows:
        row["outcomes"]["tiny"]["cost_usd"] = 0.0
    recording = read_recordings([write_recording(rows)])
    plot(evaluate(recording, recording), tmp_path / "free.png")
    assert (tmp_path / "free.png").stat().st_size > 10_000


def test_a_plot_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    with pytest.raises(ConfigurationError, match=r"must end in \.png or \.svg"):
        check_plot(tmp_path / "plot.bmp")
    with pytest.raises(ConfigurationError, match="there is no folder"):
        check_plot(tmp_path / "nowhere" / "plot.png")
