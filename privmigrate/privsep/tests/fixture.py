"""The older place of `privmigrate.privsep.test.fixture`, which existing test suites import."""

from privmigrate.privsep.test.fixture import UnprivilegedPrivsepFixture

__all__ = ["UnprivilegedPrivsepFixture"]
