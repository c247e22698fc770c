"""Match a pattern's tree against a text in time linear in the text, whatever the pattern.

The automaton is walked from the end of the text to its beginning, with the set of all states from
which the rest can be matched. Walked that way, a condition on what follows (a lookahead) is
another automaton whose answer for every place is there after one walk, so lookaheads cost no more
than any other part. Sets of states that were met are kept with their transitions (a deterministic
automaton, built as it is needed), so a usual step is one dictionary lookup.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from privmigrate.argv.syntax import Alt, At, Char, Look, Node, Repeat, Seq, Unsupported, unparse

MAX_STATES: Final = 4000
# What is kept of the deterministic automaton; beyond it, the table starts anew.
MAX_SETS: Final = 256
MAX_CHARACTERS: Final = 512

_Row = dict[str, int]


@dataclass(frozen=True, slots=True)
class _State:
    """A state: a character to read, or conditions and free moves to other states."""

    successors: tuple[int, ...]
    character: int | None = None  # index of a character test
    condition: int | None = None  # index of a condition on the place


@dataclass(slots=True)
class _Builder:
    """Collects the states of one automaton, the accepting one first."""

    states: list[_State] = field(default_factory=lambda: [_State(())])
    characters: dict[Char, int] = field(default_factory=dict)
    conditions: dict[At | Look, int] = field(default_factory=dict)

    def add(self, node: Node, after: int) -> int:
        """Add the states that match `node` and go on at `after`; return where they start."""
        match node:
            case Char():
                number = self.characters.setdefault(node, len(self.characters))
                return self._state(_State((after,), character=number))
            case Seq(items):
                for item in reversed(items):
                    after = self.add(item, after)
                return after
            case Alt(branches):
                return self._state(_State(tuple(self.add(branch, after) for branch in branches)))
            case Repeat(item, low, high):
                return self._repeat(item, low, high, after)
            case At() | Look():
                number = self.conditions.setdefault(node, len(self.conditions))
                return self._state(_State((after,), condition=number))

    def _repeat(self, item: Node, low: int, high: int | None, after: int) -> int:
        if high is None:
            loop = self._state(_State((after,)))
            self.states[loop] = _State((self.add(item, loop), after))
            after = loop
        else:
            end = after
            for _ in range(high - low):
                after = self._state(_State((self.add(item, after), end)))
        for _ in range(low):
            before, after = after, self.add(item, after)
            if before == after:  # an empty item adds no states, and no bound would hold
                break
        return after

    def _state(self, state: _State) -> int:
        if len(self.states) >= MAX_STATES:
            raise Unsupported(f"it has more than {MAX_STATES} states")
        self.states.append(state)
        return len(self.states) - 1


@dataclass(slots=True)
class Walk:
    """What one match did; `steps` counts the states and transitions that were looked at."""

    steps: int = 0


class Automaton:
    """The compiled form of one tree.

    Instances are shared between threads: what changes is a table of transitions, whose entries
    depend on their key alone.
    """

    __slots__ = (
        "_accepting",
        "_before",
        "_characters",
        "_conditions",
        "_start",
        "_states",
        "_table",
    )

    def __init__(self, node: Node, *, anywhere: bool = False) -> None:
        """With `anywhere` a match may end at any place of the text, else at its end only.

        Raise `Unsupported` where there are too many states.
        """
        self._accepting: Final = 1 if anywhere else 0
        builder = _Builder()
        self._start = builder.add(node, 0)
        self._states: Final = tuple(builder.states)
        self._characters: Final = tuple(_character_test(char) for char in builder.characters)
        self._conditions: Final = tuple(_condition(each) for each in builder.conditions)
        before: list[list[int]] = [[] for _ in self._states]
        for number, state in enumerate(self._states):
            for successor in state.successors:
                before[successor].append(number)
        self._before: Final = tuple(map(tuple, before))
        self._table: Final[dict[tuple[int, int], _Row]] = {}

    def matches(self, text: str, walk: Walk | None = None) -> bool:
        """Say whether the whole text is matched."""
        walk = walk or Walk()
        states = 0
        for states in self._walk(text, walk):  # noqa: B007 - the last one counts
            pass
        return bool(states >> self._start & 1)

    def begins_at(self, text: str, walk: Walk) -> list[bool]:
        """Say for every place of the text, its end included, whether a match begins there."""
        places = [bool(states >> self._start & 1) for states in self._walk(text, walk)]
        places.reverse()
        return places

    def _walk(self, text: str, walk: Walk) -> Iterator[int]:
        """Yield, from the text's end on, the set of states from which the rest is matched."""
        truths = self._truths(text, walk)
        states = self._close(1, truths[-1] if truths else 0, walk)
        yield states
        for place in range(len(text) - 1, -1, -1):
            truth = truths[place] if truths else 0
            walk.steps += 1
            row = self._table.get((states, truth))
            if row is None:
                if len(self._table) >= MAX_SETS:
                    self._table.clear()
                row = self._table.setdefault((states, truth), {})
            found = row.get(text[place])
            if found is None:
                if len(row) >= MAX_CHARACTERS:
                    row.clear()
                found = self._step(states, text[place], walk) | self._accepting
                found = row[text[place]] = self._close(found, truth, walk)
            states = found
            yield states
            if not states:
                return

    def _step(self, states: int, character: str, walk: Walk) -> int:
        """The states that read this character and then are in one of `states`."""
        walk.steps += len(self._states)
        accepted = [test(character) for test in self._characters]
        found = 0
        for number, state in enumerate(self._states):
            if (
                state.character is not None
                and states >> state.successors[0] & 1
                and accepted[state.character]
            ):
                found |= 1 << number
        return found

    def _close(self, states: int, truth: int, walk: Walk) -> int:
        """Add the states that reach one of `states` without reading."""
        pending = [number for number in range(len(self._states)) if states >> number & 1]
        walk.steps += len(self._states)
        while pending:
            for number in self._before[pending.pop()]:
                walk.steps += 1
                state = self._states[number]
                if (
                    state.character is not None
                    or states >> number & 1
                    or (state.condition is not None and not truth >> state.condition & 1)
                ):
                    continue
                states |= 1 << number
                pending.append(number)
        return states

    def _truths(self, text: str, walk: Walk) -> list[int]:
        """Say for every place which conditions hold there, as the bits of a number."""
        if not self._conditions:
            return []
        truths = [0] * (len(text) + 1)
        for number, condition in enumerate(self._conditions):
            for place, holds in enumerate(condition(text, walk)):
                if holds:
                    truths[place] |= 1 << number
        return truths


def _character_test(char: Char) -> Callable[[str], bool]:
    """Let `re` test the one character: its reading of classes and of case is the right one."""
    pattern = re.compile(unparse(char))
    return lambda character: pattern.fullmatch(character) is not None


def _condition(node: At | Look) -> Callable[[str, Walk], Sequence[bool]]:
    if isinstance(node, At):
        # Every place costs `re` one look at its two neighbours.
        pattern = re.compile(unparse(node))
        return lambda text, _: [
            pattern.match(text, place) is not None for place in range(len(text) + 1)
        ]
    if not node.behind:
        ahead = Automaton(node.item, anywhere=True)
        return lambda text, walk: [
            found is not node.negative for found in ahead.begins_at(text, walk)
        ]
    behind = Automaton(_mirrored(node.item), anywhere=True)
    return lambda text, walk: [
        found is not node.negative for found in reversed(behind.begins_at(text[::-1], walk))
    ]


def _mirrored(node: Node) -> Node:
    """The tree of the texts read backwards."""
    match node:
        case Char():
            return node
        case Seq(items):
            return Seq(tuple(_mirrored(item) for item in reversed(items)))
        case Alt(branches):
            return Alt(tuple(_mirrored(branch) for branch in branches))
        case Repeat(item, low, high):
            return Repeat(_mirrored(item), low, high)
        case At() | Look():
            raise Unsupported("it has a condition inside a lookbehind")
