"""Why a call is not replaced, in one word each: those of call sites, and those of converting."""

from collections.abc import Mapping
from typing import Final

from privmigrate.callsites.reasons import EXPLAINED, Explained
from privmigrate.convert.replace import Because
from privmigrate.convert.use import Why

STAYS: Final[Mapping[str, Explained]] = {
    **EXPLAINED,
    Why.UNRESOLVED.value: Explained(
        "its values are not of a kind that an entrypoint can check",
        "see privmigrate callsites --json",
    ),
    "through-wrapper": Explained(
        "it goes through a function that does more than to call an executor",
        "call the entrypoint in that function, or the executor here",
    ),
    Why.NO_RULE.value: Explained(
        "no filter allows it, and so it fails today",
        "add a filter and convert again, or take the call away",
    ),
    Why.NO_RULE_NEEDED.value: Explained(
        "no filter allows it, and privsep_exec says that none is needed",
        "add a filter and convert again",
    ),
    Why.SEVERAL_COMMANDS.value: Explained(
        "it runs one of several commands",
        "write a call for each of them",
    ),
    Why.IN_PIECES.value: Explained(
        "its values cannot be evaluated where it stands",
        "put its words together just before it, in one list",
    ),
    Why.SIGNAL.value: Explained(
        "which signal it sends is known at run time only",
        "write a call for each signal",
    ),
    Because.MOVED.value: Explained("it is not where it was found", "run the command again"),
    Because.ORDER.value: Explained(
        "its arguments have effects, and would be evaluated in another order",
        "give them names before the call",
    ),
    Because.NAME.value: Explained(
        "the entrypoint's module has no name there that is not taken",
        "give what has it another name",
    ),
    Because.SCOPE.value: Explained(
        "what it needs is not known where it stands, or is something else there",
        "put its words together just before it",
    ),
    Because.NESTED.value: Explained(
        "it stands among the arguments of another command, or has one there",
        "give the inner one's result a name first",
    ),
    Because.RUNTIME.value: Explained(
        "oslo.privsep's entrypoints cannot judge a result otherwise",
        "convert with --runtime privmigrate",
    ),
    Because.MISSING.value: Explained(
        "the package lacks its entrypoint",
        "run privmigrate convert with --callsites again",
    ),
    Because.UNREADABLE.value: Explained(
        "its file cannot be read or changed",
        "look at what is said of the file",
    ),
}
