import contextlib
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tapeflow.errors import TapeError
from tapeflow.viz.expression import (
    MAX_DEPTH,
    MAX_LENGTH,
    ExpressionError,
    Step,
    linearize,
    parse,
    read_values,
    variables,
)
from tapeflow.viz.nodes import Call, Number, Symbol
from tapeflow.viz.operations import ALIASES, OPERATIONS

X, Y = Symbol("x"), Symbol("y")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("x", X),
        (" ( x ) ", X),
        ("2", Number(2.0)),
        ("1_000", Number(1000.0)),
        ("-2", Number(-2.0)),
        ("pi", Number(3.141592653589793, "pi")),
        ("np.e", Number(2.718281828459045, "e")),
        ("-x", Call("negative", (X,))),
        ("+x", Call("positive", (X,))),
        ("x + y", Call("add", (X, Y))),
        ("x - y", Call("subtract", (X, Y))),
        ("x * y", Call("multiply", (X, Y))),
        ("x / y", Call("divide", (X, Y))),
        ("x ** y", Call("power", (X, Y))),
        ("-x**2", Call("negative", (Call("power", (X, Number(2.0))),))),
        ("x**-1", Call("power", (X, Number(-1.0)))),
        ("x\n+\ty", Call("add", (X, Y))),
        ("ln(x)", Call("log", (X,))),
        ("np.sin(x)", Call("sin", (X,))),
        ("numpy.arctan2(x, y)", Call("arctan2", (X, Y))),
        ("atan2(x, y)", Call("arctan2", (X, Y))),
        ("α * x", Call("multiply", (Symbol("α"), X))),
    ],
)
def test_reads(text, tree):
    assert parse(text) == tree


def test_names_every_function_by_its_numpy_name_and_by_its_aliases():
    for name, operation in OPERATIONS.items():
        text = ", ".join("xy"[: operation.arity])
        assert parse(f"{name}({text})") == parse(f"np.{name}({text})")
        assert operation.function.__name__ == name
    for alias, name in ALIASES.items():
        text = ", ".join("xy"[: OPERATIONS[name].arity])
        assert parse(f"{alias}({text})") == parse(f"{name}({text})")


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("", "the expression is empty", 0),
        ("  \n", "the expression is empty", 0),
        ("x.real", "attribute access is not allowed", 1),
        ("x + y.T", "attribute access is not allowed", 5),
        ("np.random", "attribute access is not allowed", 1),
        ("x[0]", "an index is not allowed", 1),
        ("(lambda: x)()", "only functions called by name", 2),
        ("lambda: x", "lambda is not allowed", 1),
        ("[x for x in y]", "a comprehension is not allowed", 1),
        ("x + 'a'", "a string is not allowed", 5),
        ("f'{x}'", "a string is not allowed", 1),
        ("(x := 2)", r"an assignment \(:=\) is not allowed", 2),
        ("x if y else 2", r"if ... else is not allowed", 1),
        ("x < y", "a comparison is not allowed", 1),
        ("x and y", "and, or is not allowed", 1),
        ("(x, y)", "a tuple is not allowed", 1),
        ("[x, y]", "a list is not allowed", 1),
        ("True", "a truth value is not allowed", 1),
        ("2j * x", "an imaginary number is not allowed", 1),
        ("x + ...", "Ellipsis is not allowed", 5),
        ("sin(x, where=y)", "sin: keyword arguments are not allowed", 14),
        ("sin(*x)", "a starred argument is not allowed", 5),
        ("sin(x, y)", "sin takes 1 argument, not 2", 1),
        ("arctan2(x)", "arctan2 takes 2 arguments, not 1", 1),
        ("2 * sin", "sin is a function; it needs its arguments", 5),
        ("np * x", "np is a module", 1),
        ("sni(x)", r"there is no function sni here; did you mean sin\?", 1),
        ("__import__('os')", "there is no function __import__ here", 1),
        ("eval(x)", "there is no function eval here", 1),
        ("np.linalg.norm(x)", "only functions called by name", 1),
        ("np.load(x)", "there is no function load here", 1),
        ("x ^ 2", r"a power is written \*\*", 3),
        ("(x) ^ 2", r"a power is written \*\*", 5),
        ("x @ y", "this operator is not allowed", 3),
        ("x % y", "this operator is not allowed", 3),
        ("~x", "this operator is not allowed", 1),
        ("x +", "not a valid expression", 4),
        ("(x", r"'\(' was never closed", 1),
        ("x y", "not a valid expression", 3),
        ("x = 2", "not a valid expression", 3),
        ("x; y", "not a valid expression", 2),
        ("2x", "not a valid expression", 1),
        ("x # y", "a comment is not allowed", 3),
        ("x + \0", "the unprintable character", 0),
        ("x + \udc80", "the unprintable character", 0),
        ("x + 1e999", "the number is too large", 5),
        ("x + " + "9" * 400, "the number is too large", 5),
        ("ä + é.b", "attribute access", 5),
        ("x" * (MAX_LENGTH + 1), f"{MAX_LENGTH + 1} characters; at most {MAX_LENGTH}", 0),
        ("(" * 300 + "x" + ")" * 300, "too many nested parentheses", 201),
        ("-" * 300 + "x", f"nested or chained more than {MAX_DEPTH} levels", MAX_DEPTH + 2),
        ("+".join("x" * 300), f"nested or chained more than {MAX_DEPTH} levels", 1),
        ("sin(" * 150 + "x" + ")" * 150, "nested or chained", 4 * (MAX_DEPTH + 1) + 1),
    ],
)
def test_refuses(text, message, column):
    with pytest.raises(ExpressionError, match=message) as caught:
        parse(text)
    assert caught.value.column == column
    assert isinstance(caught.value, (TapeError, ValueError))


@pytest.mark.parametrize(
    "text", ["-" * 999 + "x", "(" * 999, "[" * 999, "2**" * 330 + "x", "(-" * 120 + "x" + ")" * 120]
)
def test_deep_nesting_does_not_exhaust_the_stack(text):
    with pytest.raises(ExpressionError, match=r"nested|never closed"):  # by our limit or by that of Python's parser
        parse(text)


def test_the_error_points_at_the_place():
    with pytest.raises(ExpressionError) as caught:
        parse("1 + x[0]")
    _, line, caret = str(caught.value).splitlines()
    assert line[caret.index("^")] == "x"


def test_the_error_shows_the_neighbourhood_in_a_long_expression():
    with pytest.raises(ExpressionError) as caught:
        parse("+".join(["x" * 100] * 4) + "+ä[0]" + "+y" * 40)
    _, line, caret = str(caught.value).splitlines()
    assert len(line) < 70
    assert line[caret.index("^")] == "ä"


def test_a_tower_of_powers_takes_no_time():
    result, steps = linearize(parse("9**9**9**9*x"), {"x": 0})
    assert [step.op for step in steps] == ["power", "power", "power", "multiply"]
    assert result == 4


@given(st.text(string.printable + "αé²\u0307", max_size=40))
@example("x" * 500 + "(")
@example("1_")
@example("0777")
@example("x\\\ny")
@example("\\N{DASH}")
@example("'\\N{'")
@example("0x1for x in y")
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ExpressionError):
        tree = parse(text)
        linearize(tree, dict.fromkeys(variables(tree), 0))


def test_variables_come_in_order_of_appearance():
    assert variables(parse("b*a + sin(b) - c + 2*pi")) == ("b", "a", "c")


def test_steps_are_numbered_as_in_the_survey():
    result, steps = linearize(parse("ln(x1) + x1*x2 - sin(x2)"), {"x1": -1, "x2": 0})
    assert result == 5
    assert steps == (
        Step("log", (-1,)),
        Step("multiply", (-1, 0)),
        Step("sin", (0,)),
        Step("add", (1, 2)),
        Step("subtract", (4, 3)),
    )


def test_every_occurrence_is_a_step_of_its_own():
    _, steps = linearize(parse("sin(x) * sin(x)"), {"x": 0})
    assert steps == (Step("sin", (0,)), Step("sin", (0,)), Step("multiply", (1, 2)))


def test_reads_values():
    assert read_values(["x=2", "y = -1e-3", "z=inf", "λ=0"]) == {"x": 2.0, "y": -0.001, "z": float("inf"), "λ": 0.0}
    assert all(type(value) is float for value in read_values(["x=2"]).values())


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["x"], "'x' is not of the form name=value"),
        (["x=1", "x=2"], "x is given twice"),
        (["x=one"], "x: 'one' is not a real number"),
        (["x="], "x: '' is not a real number"),
        (["x=[1,2]"], r"x: '\[1,2\]' is not a real number \(a trace is about scalars\)"),
        (["x=1=2"], "x: '1=2' is not a real number"),
        (["x=1j"], "x: '1j' is not a real number"),
        (["2x=1"], "'2x' cannot be the name of a variable"),
        (["=1"], "'' cannot be the name of a variable"),
        (["lambda=1"], "'lambda' cannot be the name of a variable"),
        (["pi=3"], "pi is the constant 3.14159"),
        (["sin=3"], "sin belongs to NumPy"),
        (["ln=3"], "ln belongs to NumPy"),
        (["np=3"], "np belongs to NumPy"),
    ],
)
def test_refuses_values(items, message):
    with pytest.raises(ExpressionError, match=message):
        read_values(items)
