"""Configuration of the documentation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "tapeflow"
author = "The tapeflow authors"
extensions = [
    "coverage_directive",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
default_role = "any"
html_theme = "furo"
exclude_patterns = ["_build", "_ext"]
# Parameter types in docstrings are prose ("pytree of array"), not names.
nitpicky = False
suppress_warnings = ["ref.any", "ref.python"]
