import itertools
import json
import math
import re

import numpy as np
import pytest

from tapeflow import jvp, vjp
from tapeflow.viz import ExpressionError, render, to_dict, trace
from tapeflow.viz.expression import parse
from tapeflow.viz.nodes import Call, Number, Symbol, replace
from tapeflow.viz.notation import LATEX, TEXT
from tapeflow.viz.operations import OPERATIONS
from tapeflow.viz.trace_table import forward_table, reverse_table, template

SURVEY = "ln(x1) + x1*x2 - sin(x2)"
POINT = {"x1": 2.0, "x2": 5.0}
# Where each function is smooth.
ARGUMENTS = {"arccosh": (1.7,)} | {
    name: (0.7, 0.4) for name in ("arctan2", "fmax", "fmin", "hypot", "maximum", "minimum", "power")
}


def evaluate(node, values):
    """The number that a formula stands for, by plain NumPy."""
    if isinstance(node, Number):
        return np.float64(node.value)
    if isinstance(node, Symbol):
        return values[node]
    function = np.sign if node.op == "sign" else OPERATIONS[node.op].function
    return function(*(evaluate(a, values) for a in node.args))


def arguments(name):
    return ARGUMENTS.get(name, (0.7, 0.4))[: OPERATIONS[name].arity]


# ---- what is displayed is what the engine computes


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_displayed_partial_is_that_of_the_engine(name):
    operation, point = OPERATIONS[name], [np.float64(x) for x in arguments(name)]
    y, pull = vjp(operation.function, *point)
    values = {Symbol("a"): point[0], Symbol("b"): point[-1], Symbol("y"): y}
    for position, partial in enumerate(pull(np.float64(1.0))):
        direction = [np.float64(i == position) for i in range(operation.arity)]
        np.testing.assert_allclose(jvp(operation.function, point, direction)[1], partial, rtol=1e-14)
        formula = template(name, position)
        if formula is not None:
            np.testing.assert_allclose(evaluate(formula, values), partial, rtol=1e-13)


def test_few_functions_lack_a_formula():
    bare = {name for name, o in OPERATIONS.items() if not all(o.partials)}
    assert bare == {"maximum", "minimum", "fmax", "fmin"}


EXPRESSIONS = [
    (SURVEY, POINT),
    ("x", {"x": 3.0}),
    ("x*x*x", {"x": 3.0}),
    ("x**3 / (1 + x)**0.5", {"x": 3.0}),
    ("2*3*x - 4*pi", {"x": 0.5}),
    ("-x + +x*2", {"x": 0.5}),
    ("a/b - b/a", {"a": 2.0, "b": 3.0}),
    ("a**b + 2**b + b**-1.5", {"a": 2.0, "b": 3.0}),
    ("exp(-(x-m)**2 / (2*s**2)) / (s*sqrt(2*pi))", {"x": 1.0, "m": 0.25, "s": 2.0}),
    ("sin(cos(tan(x)))", {"x": 0.3}),
    ("reciprocal(square(x)) + cbrt(abs(x)) + exp2(x)", {"x": -0.3}),
    *(
        (f"{name}({', '.join('uv'[: o.arity])})", dict(zip("uv", arguments(name), strict=False)))
        for name, o in OPERATIONS.items()
    ),
]


@pytest.mark.parametrize(("text", "point"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_both_modes_and_all_displayed_formulas_agree(text, point):
    found = trace(text, point)
    for name in point:
        np.testing.assert_allclose(
            found.tangents[name][found.result], found.adjoints[found.number(name)], rtol=1e-12, atol=1e-15
        )
        values = {found.symbol(k): v for k, v in found.values.items()}
        values |= {found.symbol(k).marked("dot"): v for k, v in found.tangents[name].items()}
        values |= {Symbol(v): x for v, x in point.items()}
        values |= {Symbol(v).marked("dot"): float(v == name) for v in point}
        for section in forward_table(found, name).sections:
            for row in section.left + section.right:
                check_row(row, values)
    check_adjoint_rows(found)


def check_row(row, values):
    """All sides of a row are equal, as far as they have formulas."""
    *formulas, value = row[1:]
    for formula in formulas:
        if "Chain" not in repr(formula):
            np.testing.assert_allclose(evaluate(formula, values), value.value, rtol=1e-12, atol=1e-15)


def check_adjoint_rows(found):
    """Read upwards, every row follows from what stands below it."""
    values = {found.symbol(k): v for k, v in found.values.items()} | {found.output.marked("bar"): 1.0}
    rows = [row for section in reverse_table(found).sections for row in section.right if row]
    for row in reversed(rows):
        subject, *formulas, value = row
        for formula in formulas:
            if "Chain" not in repr(formula):
                np.testing.assert_allclose(evaluate(formula, values), value.value, rtol=1e-12, atol=1e-15)
        values[subject] = value.value
    for k, adjoint in found.adjoints.items():
        assert values[found.symbol(k).marked("bar")] == adjoint


def test_contributions_add_up_to_the_adjoints():
    found = trace("x*x + sin(x)*y/x - y", {"x": 0.7, "y": 2.0})
    sums = {found.result: 1.0}
    for c in found.contributions:
        np.testing.assert_allclose(c.value, c.partial * found.adjoints[c.step], rtol=1e-14)
        sums[c.to] = sums.get(c.to, 0.0) + c.value
    assert sums.keys() == found.adjoints.keys()
    np.testing.assert_allclose([sums[k] for k in sums], [found.adjoints[k] for k in sums], rtol=1e-14)


# ---- the survey's tables


def squeezed(text):
    return [re.sub(r" +", " ", line).strip() for line in text.splitlines()]


def test_table_2_of_the_survey():
    assert squeezed(render(trace(SURVEY, POINT, wrt="x1"), "forward")) == squeezed(
        """\
        y = ln(x1) + x1*x2 - sin(x2) at x₁ = 2, x₂ = 5

        Forward mode from ẋ₁ = 1: ∂y/∂x₁

        Forward primal trace Forward tangent (derivative) trace
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        v₋₁ = x₁ = 2 v̇₋₁ = ẋ₁ = 1
        v₀ = x₂ = 5 v̇₀ = ẋ₂ = 0
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        v₁ = ln v₋₁ = ln 2 = 0.693147 v̇₁ = v̇₋₁ / v₋₁ = 1 / 2 = 0.5
        v₂ = v₋₁ × v₀ = 2 × 5 = 10 v̇₂ = v̇₋₁ × v₀ + v̇₀ × v₋₁ = 1 × 5 + 0 × 2 = 5
        v₃ = sin v₀ = sin 5 = -0.958924 v̇₃ = v̇₀ × cos v₀ = 0 × cos 5 = 0
        v₄ = v₁ + v₂ = 0.693147 + 10 = 10.6931 v̇₄ = v̇₁ + v̇₂ = 0.5 + 5 = 5.5
        v₅ = v₄ - v₃ = 10.6931 - (-0.958924) = 11.6521 v̇₅ = v̇₄ - v̇₃ = 5.5 - 0 = 5.5
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        y = v₅ = 11.6521 ẏ = v̇₅ = 5.5"""
    )


def test_table_3_of_the_survey():
    lines = squeezed(render(trace(SURVEY, POINT), "reverse", "markdown"))
    assert lines[0] == "`ln(x1) + x1*x2 - sin(x2)` at x₁ = 2, x₂ = 5"
    assert lines[4:6] == ["| Forward primal trace | Reverse adjoint (derivative) trace, upwards |", "| --- | --- |"]
    assert [line.split(" | ")[1].removesuffix(" |") for line in lines[6:]] == [
        "x̄₁ = v̄₋₁ = 5.5",
        "x̄₂ = v̄₀ = 1.71634",
        "v̄₋₁ = v̄₋₁ + v̄₁ ∂v₁/∂v₋₁ = v̄₋₁ + v̄₁ / v₋₁ = 5.5",
        "v̄₀ = v̄₀ + v̄₂ ∂v₂/∂v₀ = v̄₀ + v̄₂ × v₋₁ = 1.71634",
        "v̄₋₁ = v̄₂ ∂v₂/∂v₋₁ = v̄₂ × v₀ = 5",
        "v̄₀ = v̄₃ ∂v₃/∂v₀ = v̄₃ × cos v₀ = -0.283662",
        "v̄₂ = v̄₄ ∂v₄/∂v₂ = v̄₄ × 1 = 1",
        "v̄₁ = v̄₄ ∂v₄/∂v₁ = v̄₄ × 1 = 1",
        "v̄₃ = v̄₅ ∂v₅/∂v₃ = v̄₅ × (-1) = -1",
        "v̄₄ = v̄₅ ∂v₅/∂v₄ = v̄₅ × 1 = 1",
        "v̄₅ = ȳ = 1",
    ]


def test_text_columns_line_up():
    for mode in ("forward", "reverse"):
        table = render(trace(SURVEY, POINT), mode).split("\n\n")[2]
        rows = [line.replace("\u0307", "").replace("\u0304", "") for line in table.splitlines() if "=" in line]
        left = [row for row in rows if not row.startswith(" ")]
        assert len({row.index("=") for row in left}) == 1
        assert len({row.rindex("=") for row in rows}) == 1


# ---- notation


@pytest.mark.parametrize(
    ("text", "plain", "latex"),
    [
        ("a + (b - c)", "a + (b - c)", r"a + \left(b - c\right)"),
        ("a - (b + c)", "a - (b + c)", r"a - \left(b + c\right)"),
        ("a * (b + c)", "a × (b + c)", r"a \times \left(b + c\right)"),
        ("a * b / c", "a × b / c", r"\frac{a \times b}{c}"),
        ("a / (b * c)", "a / (b × c)", r"\frac{a}{b \times c}"),
        ("a - -2", "a - (-2)", r"a - \left(-2\right)"),
        ("-(a + b)", "-(a + b)", r"-\left(a + b\right)"),
        ("(-2)**2", "(-2)²", r"\left(-2\right)^{2}"),
        ("a**-1", "a⁻¹", "a^{-1}"),
        ("a**0.5", "a^0.5", "a^{0.5}"),
        ("a**b**c", "a^(b^c)", "a^{b^{c}}"),
        ("sin(a) * b", "sin(a) × b", r"\sin\left(a\right) \times b"),
        ("b * sin(a)", "b × sin a", r"b \times \sin a"),
        ("sin(a)**2", "(sin a)²", r"\left(\sin a\right)^{2}"),
        ("sin(a + b)", "sin(a + b)", r"\sin\left(a + b\right)"),
        ("sin(-2)", "sin(-2)", r"\sin\left(-2\right)"),
        ("arctan2(a, b)", "arctan2(a, b)", r"\operatorname{arctan2}\left(a, b\right)"),
        ("sqrt(a)", "√a", r"\sqrt{a}"),
        ("cbrt(a + 1)", "∛(a + 1)", r"\sqrt[3]{a + 1}"),
        ("abs(a)", "|a|", r"\left|a\right|"),
        ("square(a)", "a²", "a^{2}"),
        ("reciprocal(a)", "1 / a", r"\frac{1}{a}"),
        ("exp2(a)", "2^a", "2^{a}"),
        ("log10(a)", "log₁₀ a", r"\log_{10} a"),
        ("2 * pi * e", "2 × π × e", r"2 \times \pi \times e"),
        ("1e-9 * a", "1e-09 × a", r"1 \times 10^{-9} \times a"),
        ("1e-9 ** a", "(1e-09)^a", r"\left(1 \times 10^{-9}\right)^{a}"),
        ("x1 + alpha + rate_2", "x₁ + alpha + rate_2", r"x_{1} + \alpha + \mathit{rate\_2}"),
    ],
)
def test_notation(text, plain, latex):
    assert TEXT.write(parse(text)) == plain
    assert LATEX.write(parse(text)) == latex


@pytest.mark.parametrize(("value", "plain", "latex"), [
    (math.inf, "inf", r"\infty"), (-math.inf, "-inf", r"-\infty"), (math.nan, "nan", r"\mathrm{nan}"), (-0.0, "0", "0"),
])  # fmt: skip
def test_notation_of_special_numbers(value, plain, latex):
    assert TEXT.write(Number(value)) == plain
    assert LATEX.write(Number(value)) == latex


def test_every_latex_formula_is_understood_by_an_independent_parser():
    mathtext = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    formulas = set()
    for text, point in EXPRESSIONS:
        found = trace(text, point)
        tables = [*(forward_table(found, name) for name in point), reverse_table(found)]
        rows = itertools.chain.from_iterable(s.left + s.right for t in tables for s in t.sections)
        formulas |= {LATEX.write(node) for row in rows for node in row or ()}
    for formula in formulas:
        assert mathtext.parse(f"${formula}$")


def test_latex_rows_have_as_many_cells_as_columns():
    text = render(trace("maximum(x, 2*3) + x**2", {"x": 7.0}), format="latex")
    columns = re.findall(r"\\begin\{array\}\{(.*)\}$", text, re.MULTILINE)
    tables = text.split(r"\begin{array}")[1:]
    assert len(columns) == len(tables) == 2
    for column, table in zip(columns, tables, strict=True):
        rows = [line for line in table.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert {row.count("&") + 1 for row in rows} == {re.sub(r"@\{.*?\}", "", column).count("l")}
    assert text.count("{") == text.count("}")


def test_markdown_escapes_its_own_signs():
    text = render(trace("abs(rate_a)", {"rate_a": -1.0}), "forward", "markdown")
    assert r"v₁ = \|v₀\| = \|-1\| = 1" in text
    assert r"∂y/∂rate\_a" in text


def test_letters_give_way_to_variables():
    found = trace("v1*y + w", {"v1": 1.0, "y": 2.0, "w": 3.0})
    assert found.symbol(1) == Symbol("u", 1)
    assert found.output == Symbol("f")
    crowded = trace("+".join("vwutsrqyfzgh"), dict.fromkeys("vwutsrqyfzgh", 1.0))
    assert (crowded.letter, crowded.output) == ("vv", Symbol("yy"))


# ---- JSON


def test_json():
    data = json.loads(render(trace(SURVEY, POINT), format="json"))
    assert data["schema"] == "tapeflow/trace/1"
    assert data["expression"] == SURVEY
    assert data["wrt"] == ["x1", "x2"]
    assert [(v["id"], v["name"], v["value"]) for v in data["variables"]] == [("v-1", "x1", 2.0), ("v0", "x2", 5.0)]
    assert [(s["id"], s["op"], s["operands"]) for s in data["steps"]] == [
        ("v1", "log", ["v-1"]),
        ("v2", "multiply", ["v-1", "v0"]),
        ("v3", "sin", ["v0"]),
        ("v4", "add", ["v1", "v2"]),
        ("v5", "subtract", ["v4", "v3"]),
    ]
    assert data["steps"][1]["tangents"] == {"x1": 5.0, "x2": 2.0}
    assert data["steps"][2]["adjoint"] == -1.0
    assert data["steps"][2]["contributions"] == [
        {"to": "v0", "operand": 0, "partial": pytest.approx(math.cos(5)), "value": pytest.approx(-math.cos(5))}
    ]
    assert data["result"] == {
        "id": "v5",
        "value": pytest.approx(math.log(2) + 10 - math.sin(5)),
        "gradient": {"x1": pytest.approx(5.5), "x2": pytest.approx(2 - math.cos(5))},
    }


def test_json_of_one_mode_and_one_variable():
    found = trace("x * y + 2", {"x": 2.0, "y": 3.0}, wrt="y")
    forward, reverse = to_dict(found, "forward"), to_dict(found, "reverse")
    assert forward["steps"][0] == {
        "id": "v1", "op": "multiply", "operands": ["v-1", "v0"], "value": 6.0, "tangents": {"y": 2.0}
    }  # fmt: skip
    assert reverse["steps"][0]["contributions"] == [{"to": "v0", "operand": 1, "partial": 2.0, "value": 2.0}]
    assert "tangents" not in reverse["steps"][0]
    assert [v["adjoint"] for v in reverse["variables"]] == [None, 2.0]
    assert forward["steps"][1]["operands"] == ["v1", 2.0]
    assert forward["result"]["gradient"] == reverse["result"]["gradient"] == {"y": 2.0}


def test_json_holds_no_numbers_that_json_has_not():
    data = json.loads(render(trace("1/x + log(x - 1)", {"x": 0.0}), format="json"), parse_constant=pytest.fail)
    assert data["steps"][0]["value"] == "inf"
    assert data["result"]["value"] == "nan"
    assert data["variables"][0]["tangents"] == {"x": 1.0}


# ---- corners


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "json"])
@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("log(x)/0", {"x": -1.0}),
        ("x**x", {"x": 0.0}),
        ("9**9**9*x", {"x": 1.0}),
        ("sqrt(x) + 1/x", {"x": math.nan}),
        ("exp(x)", {"x": 1e3}),
        ("x - x", {"x": math.inf}),
    ],
)
def test_values_out_of_the_domain_are_shown_without_noise(text, point, format, recwarn, capfd):
    assert render(trace(text, point), format=format).endswith("\n")
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_only_rows_of_the_variable_asked_for():
    text = render(trace(SURVEY, POINT, wrt="x1"), "reverse")
    assert "x̄₁" in text
    assert "x̄₂" not in text
    assert "∂v₃/∂v₀" not in text


def test_an_operand_that_comes_twice_has_one_row():
    rows = [row for row in reverse_table(trace("x*x", {"x": 3.0})).sections[1].right if row]
    assert [TEXT.write(node) for node in rows[0]] == ["v̄₀", "v̄₁ ∂v₁/∂v₀", "v̄₁ × v₀ + v̄₁ × v₀", "6"]


def test_deep_and_long_expressions_are_rendered():
    found = trace("+".join("x" * 90) + "+" + "sin(" * 9 + "x" + ")" * 9, {"x": 0.5})
    assert len(found.steps) == 99
    assert render(found).count("\n") > 200


@pytest.mark.parametrize(
    ("text", "point", "wrt", "message"),
    [
        ("2*3", {}, None, "the expression has no variable, so there is nothing to differentiate"),
        ("2*3", {"x": 1.0}, None, "the expression has no variable"),
        ("x*y*z", {"y": 1.0}, None, "no value for x, z: add x=NUMBER z=NUMBER"),
        ("x", {"x": 1.0, "y": 1.0, "z": 1.0}, None, "y, z does not occur in the expression"),
        ("x*y", {"x": 1.0, "y": 1.0}, "z", "z does not occur in the expression, whose variables are x, y"),
        ("x[0]", {"x": 1.0}, None, "an index is not allowed"),
    ],
)
def test_refuses(text, point, wrt, message):
    with pytest.raises(ExpressionError, match=message):
        trace(text, point, wrt)


def test_render_refuses_unknown_modes_and_formats():
    found = trace("x", {"x": 1.0})
    with pytest.raises(ValueError, match="mode must be one of forward, reverse, both, not 'up'"):
        render(found, "up")
    with pytest.raises(ValueError, match="format must be one of text, markdown, latex, json, not 'html'"):
        render(found, format="html")


def test_replace_leaves_numbers_alone():
    tree = Call("add", (Number(2.0), Symbol("x")))
    assert replace(tree, lambda s: Number(3.0)) == Call("add", (Number(2.0), Number(3.0)))
