"""`python`: a function that is right, wrong, raises, hangs, or does not exist. None of it makes a zero."""

import pytest
from tests.core.grading import own_graders

from taskrouter.errors import ConfigurationError
from taskrouter.grading import Grade, Graders, Skip, Tally

SECRET = "the secret answer"


@pytest.fixture(autouse=True)
def gate():
    own_graders.GATE.clear()
    yield
    own_graders.GATE.set()


@pytest.fixture(params=["sync", "async"])
def grade(request):
    """Grade both ways: they give the same."""
    graders = Graders()

    async def run(case, view):
        return graders.grade(case, view) if request.param == "sync" else await graders.agrade(case, view)

    return run


def own(name, **more):
    return {"kind": "python", "function": f"tests.core.grading.own_graders:{name}", **more}


@pytest.mark.parametrize(("name", "score"), [("short", 1.0), ("share", 0.25), ("blocks_briefly", 1.0)])
async def test_a_function_gives_true_false_or_a_score(case, view, grade, name, score):
    assert await grade(case(**own(name)), view("short")) == Grade(score=score)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "raised"), ("leaves", "raised"), ("times_out_itself", "raised"),
        ("too_much", "bad_label"), ("nothing", "bad_label"), ("not_a_number", "bad_label"),
    ],
)  # fmt: skip
async def test_a_function_that_misbehaves_is_a_skip_that_quotes_nothing(case, view, grade, name, reason):
    result = await grade(case(**own(name)), view(SECRET))
    assert isinstance(result, Skip)
    assert result.reason == reason
    assert SECRET not in repr(result)


async def test_a_function_that_hangs_is_a_skip_and_is_given_up_after_a_few(case, view, grade):
    hanging = case(**own("hangs", timeout_s=0.02))
    tally = Tally()
    for _ in range(5):
        tally.add(await grade(hanging, view(SECRET)))
    assert tally.skipped == {"timed_out": 3, "given_up": 2}
    assert (tally.graded, tally.mean) == (0, None)


@pytest.mark.parametrize("function", ["no_such_module:f", "tests.core.grading.own_graders:no_such"])
def test_a_function_that_cannot_be_imported_is_an_error(case, view, function):
    with pytest.raises(ConfigurationError, match="cannot be imported"):
        Graders().grade(case(kind="python", function=function), view())


@pytest.mark.parametrize("name", ["asynchronous", "NOT_CALLABLE"])
def test_what_is_no_plain_function_is_an_error(case, view, name):
    with pytest.raises(ConfigurationError, match="plain function"):
        Graders().grade(case(**own(name)), view())


def test_a_path_in_another_form_is_an_error(case):
    with pytest.raises(ConfigurationError, match="function"):
        case(kind="python", function="os.system")


def test_all_graders_can_be_checked_before_any_model_is_called(case):
    with pytest.raises(ConfigurationError, match="case '1': the grader 'no_such_module:f'"):
        Graders().check((case(kind="python", function="no_such_module:f"),))


def test_a_grader_that_raises_is_a_skip(case, view, monkeypatch):
    graders = Graders()
    chosen = case(**own("share"))

    def broken(case, view):
        raise KeyError(SECRET)

    monkeypatch.setattr(graders.of(chosen.grader), "grade", broken)
    assert graders.grade(chosen, view()) == Skip(reason="raised", detail="the grader 'python' raised KeyError")


@pytest.mark.parametrize("score", [-0.1, 1.01, float("nan"), float("inf")])
def test_a_grade_outside_0_to_1_does_not_exist(score):
    with pytest.raises(ValueError, match="between 0 and 1"):
        Grade(score=score)
