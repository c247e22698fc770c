"""Move commands that run as root through rootwrap to privilege separation.

Import what you need from ``privmigrate.privsep`` (the runtime), or run ``privmigrate --help``.
This file imports nothing: every process, the privileged ones too, pays for it.
"""
