"""The runtime: what services import, and what generated modules are written in.

In the service, `context` starts a daemon and calls it (`client`); in the daemon (`daemon`), the
same context says what may be called. The two halves do not import each other.
"""
