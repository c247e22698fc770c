"""The old world: reads what rootwrap reads, decides what rootwrap decides.

Runs as root. Order of reading: `rule`, `parse`, `filters`, `policy`.
"""
