"""A fixture that lets a service's unit tests call entrypoints without privilege."""

from collections.abc import Mapping

import fixtures
from oslo_config import fixture as config_fixture

from privmigrate.privsep.context import Method, PrivContext


class UnprivilegedPrivsepFixture(fixtures.Fixture):
    """Runs a context's daemon as the user of the tests, with no capabilities at all.

    Attributes:
        conf: oslo.config's object, as the context sees it while the fixture is used.
    """

    def __init__(self, context: PrivContext, config_override: Mapping[str, object]) -> None:
        self.context = context
        self.config_override = config_override

    def setUp(self) -> None:
        """Configure the context's section and start its daemon by fork."""
        super().setUp()
        self.conf = self.useFixture(config_fixture.Config()).conf
        section = self.context.cfg_section
        _ = self.context.conf  # registers the options
        unprivileged: dict[str, object] = {"capabilities": [], "user": None, "group": None}
        for name, value in {**unprivileged, **self.config_override}.items():
            self.conf.set_override(name, value, group=section)
        self.context.start(method=Method.FORK)
        self.addCleanup(self.context.stop)
