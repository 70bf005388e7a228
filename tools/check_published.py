"""Check the pages that `asv publish` has written: a page, and for every benchmark a graph with a figure in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def problems(pages: Path) -> list[str]:
    """What is missing, a line each."""
    index = pages / "index.json"
    if not (pages / "index.html").is_file() or not index.is_file():
        return [f"{pages} has no index.html and index.json; run asv publish"]
    benchmarks = json.loads(index.read_text())["benchmarks"]
    drawn = {path.stem: path for path in pages.glob("graphs/summary/*.json")}
    found = [] if benchmarks else ["no benchmark was published"]
    for name in sorted(benchmarks):
        if name not in drawn:
            found.append(f"{name} has no graph")
        elif not any(value is not None for _, value in json.loads(drawn[name].read_text())):
            found.append(f"{name} has a graph without a figure")
    print(f"{len(benchmarks)} benchmarks, {len(drawn)} graphs")
    return found


if __name__ == "__main__":
    bad = problems(Path(sys.argv[1]))
    print("\n".join(bad) or "all published")
    sys.exit(bool(bad))
