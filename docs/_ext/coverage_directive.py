"""The directive ``coverage-table``: what `tools/coverage_table.py` reads off the registry, in a page."""

from __future__ import annotations

import sys
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import coverage_table


class CoverageTable(SphinxDirective):
    """Put the tables of covered functions here."""

    def run(self) -> list[nodes.Node]:
        for module in ("tests/ops/cases.py", "tools/coverage_table.py"):
            self.env.note_dependency(str(Path(__file__).parents[2] / module))
        holder = nodes.Element()
        self.state.nested_parse(StringList(list(coverage_table.markdown()), "registry"), 0, holder, match_titles=True)
        return holder.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("coverage-table", CoverageTable)
    return {"parallel_read_safe": True}
