"""Where an expression stands: the function or module body around it, and the clock of its changes.

Kept apart from `state`, because every value that is not fixed says in which frame it holds.
"""

from dataclasses import dataclass

from privmigrate.callsites.index import Function, Module


@dataclass(eq=False, slots=True)
class Frame:
    """A function that is evaluated, or the body of a module.

    Attributes:
        shared: names that a nested function may bind again.
    """

    module: Module
    function: Function | None
    clock: int = 0
    shared: frozenset[str] = frozenset()
    locals: frozenset[str] = frozenset()

    def tick(self) -> int:
        """A number that was not there before."""
        self.clock += 1
        return self.clock
