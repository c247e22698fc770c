"""Finds out what commands need: by watching them, and by trying whether it is enough.

Read in this order: `privmigrate.observe` (what the kernel was asked for), `trial` and `confine`
(one run under exactly one set), `minimise` (which set is the smallest that will do), `experiment`
(all of it for one command), `table` (what is kept of it).
"""
