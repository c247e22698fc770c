"""Judges: what filters, sudoers, paths and privsep modules allow, and to whom.

Nothing here runs as root on purpose, executes what it judges, or writes a file. Order of reading:
`evidence`, `gather`, `engine`, and one of the `rules`.
"""
