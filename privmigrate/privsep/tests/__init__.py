"""The older place of `privmigrate.privsep.test`, as oslo.privsep has it; no tests are here."""
