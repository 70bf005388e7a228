"""The engine: it contains no formula of any array function."""
