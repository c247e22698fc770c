"""What we ask of the kernel by hand: capabilities, credentials, processes, paths, namespaces.

Everything here may run as root. Reading order: `capabilities`, `credentials`, `spawn`.
ctypes is used in `_libc` alone, python-prctl in `thread` alone.
"""
