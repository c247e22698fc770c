"""Paths that only root may change, and the steps on which others can."""

from collections.abc import Iterator

from privmigrate.audit.evidence import Evidence, Role
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.tree import Kind, Node
from privmigrate.diagnostics import Span


def weak_steps(evidence: Evidence, role: Role) -> Iterator[Found]:
    """Say for every weak step who can change it, on the way to what, and what that is for."""
    for guarded, node, who in evidence.weak_steps(role):
        target = guarded.walk.path
        on_the_way = "" if node.path == target else f", on the way to {target}"
        level = Level.HIGH if node.mode & 0o1000 and node.uid == 0 else None
        yield Found(
            Span(node.path),
            f"{who}{on_the_way}: {guarded.purpose}",
            _advice(node),
            level,
        )


def _advice(node: Node) -> str:
    if node.kind is Kind.LINK:
        return f"chown -h root:root {node.path}"
    if node.uid != 0:
        return f"chown root {node.path}"
    return f"chmod {'g-w' if not node.mode & 0o002 else 'go-w'} {node.path}"
