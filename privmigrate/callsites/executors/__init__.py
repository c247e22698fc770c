"""Conventions: one file for each kind of executor; `EXECUTORS` is the table, first match first.

Wrappers in the analysed project need no entry: they are found by analysis.
"""

from typing import Final

from privmigrate.callsites.executors.base import Executor
from privmigrate.callsites.executors.injected import Injected
from privmigrate.callsites.executors.lists import Lists
from privmigrate.callsites.executors.netns import Netns
from privmigrate.callsites.executors.processes import Processes
from privmigrate.callsites.executors.processutils import Processutils
from privmigrate.callsites.executors.remote import Remote
from privmigrate.callsites.executors.rooted import Rooted

EXECUTORS: Final[dict[str, Executor]] = {
    "netns": Netns(),
    "processutils": Processutils(),
    "lists": Lists(),
    "processes": Processes(),
    "rooted": Rooted(),
    "remote": Remote(),
    "injected": Injected(),
}
