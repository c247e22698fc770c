"""Where a service's Python runs commands as root, and what it runs there.

Reads source with `ast` and never imports it. `find_sites` gives one `Site` for each call that ends
in a root helper; what could not be told carries a reason.
"""

from privmigrate.callsites.find import Findings, find_sites
from privmigrate.callsites.settings import Settings
from privmigrate.callsites.site import Site

__all__ = ["Findings", "Settings", "Site", "find_sites"]
