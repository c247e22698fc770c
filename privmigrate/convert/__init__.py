"""From rootwrap's rules to a package of typed, checked, capability-restricted entrypoints.

Each stage is a function from values to values: `lower` says what becomes of a rule, `unify` joins
what is the same, `chain` says what may run behind which prefix, `place` and `name` decide where
things go and what they are called, `code` and `render` print them, `merge` brings in what a
person changed, and `lock` alone writes.

With call sites, `link` says which rule allows which call and what is left of the call then,
`gather` makes operations of that, and `calls` says what becomes of rules and of calls (`use`).
"""

from privmigrate.convert.pipeline import Conversion, Options, convert

__all__ = ["Conversion", "Options", "convert"]
