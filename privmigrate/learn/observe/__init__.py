"""Sources of capability checks, the best first: a file for each."""

from typing import Final

from privmigrate.learn.observe.base import Source
from privmigrate.learn.observe.kprobe import Kprobe
from privmigrate.learn.observe.tracepoint import Tracepoint

SOURCES: Final[tuple[Source, ...]] = (Tracepoint(), Kprobe())
