"""A service for tests: its contexts and, in its modules, what they run."""

from privmigrate.privsep.priv_context import PrivContext

context = PrivContext(
    "tests.privsep.service",
    cfg_section="privsep_service",
    pypath="tests.privsep.service.context",
    capabilities=[],
    logger_name="service.daemon",
)
