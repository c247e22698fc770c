"""Watches which capabilities the kernel is asked for, by a process and all that it starts.

Runs as root, for `learn` and for the shim's `mode = learn`. Read in this order: `tracefs` (an
instance of the kernel's tracing for ourselves), `sources` (what can be seen there), `candidate`
(which of it counts), `watch` (all of it for one process).
"""
