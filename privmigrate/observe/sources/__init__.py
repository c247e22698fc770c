"""Sources of capability checks, the best first: a file for each."""

from typing import Final

from privmigrate.observe.sources.base import Source
from privmigrate.observe.sources.kprobe import Kprobe
from privmigrate.observe.sources.tracepoint import Tracepoint

SOURCES: Final[tuple[Source, ...]] = (Tracepoint(), Kprobe())
