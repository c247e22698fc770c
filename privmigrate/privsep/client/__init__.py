"""The unprivileged side: start the daemon (`launch`), call it (`channel`, `aio`).

Nothing here is imported by the daemon, and nothing of the daemon is imported here.
"""
