"""What a part of the demo hands back."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Check", "Report"]


@dataclass(frozen=True)
class Check:
    """A statement about a result, and whether it held.

    Attributes
    ----------
    statement : str
        What was compared, with the figures.
    passed : bool
        Whether it held.
    """

    statement: str
    passed: bool


@dataclass
class Report:
    """What a part did.

    Attributes
    ----------
    title : str
        One line about the part.
    lines : list of str
        What it did, line by line.
    loss_name : str
        What the loss is; empty if nothing was fitted.
    before, after : float
        The loss at the start and at the end.
    checks : list of Check
        All of them must have passed.
    """

    title: str
    lines: list[str] = field(default_factory=list)
    loss_name: str = ""
    before: float = 0.0
    after: float = 0.0
    checks: list[Check] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Add a line about what was done."""
        self.lines.append(line)

    def check(self, statement: str, passed: bool) -> None:
        """Add a check."""
        self.checks.append(Check(statement, bool(passed)))

    @property
    def passed(self) -> bool:
        """Whether every check passed; a part without checks has shown nothing."""
        return bool(self.checks) and all(check.passed for check in self.checks)
