"""Call sites made by hand, and a package made of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from privmigrate.argv.spec import Any, ArgSpec
from privmigrate.callsites.site import (
    Convention,
    Option,
    Optional,
    Origin,
    Part,
    Reason,
    Repeated,
    Result,
    Root,
    Segment,
    Site,
    Template,
    Text,
    Value,
    Word,
)
from privmigrate.convert import Conversion, Options, convert
from privmigrate.convert.lock import Disk
from privmigrate.diagnostics import Span
from tests.convert.packages import EXEC_DIRS, NOTHING, rules_of

HERE = Span("service/driver.py", 1, 1)


def value(source: str, spec: ArgSpec | None = None, *, movable: bool = True) -> Value:
    """A value that is called as the last part of its expression."""
    found = re.search(r"(\w+)\W*\Z", source)
    names = (found[1],) if found else ()
    return Value(source, HERE, names, Origin.LOCAL, movable, spec if spec is not None else Any())


def word(*parts: str | Value) -> Word:
    """A word of text and values."""
    made: list[Part] = [Text(part) if isinstance(part, str) else part for part in parts]
    return Word(tuple(made))


Given = str | Value | Word | Optional | Repeated


def segments(*given: Given) -> tuple[Segment, ...]:
    """Words: a text is a fixed one, a value one that it fills."""
    return tuple(word(each) if isinstance(each, str | Value) else each for each in given)


def when(guard: str, *given: Given, movable: bool = True) -> Optional:
    """Words that are there if the guard is true."""
    return Optional(guard, segments(*given), HERE, movable)


def each(source: str, *given: Given, element: str = "each", movable: bool = True) -> Repeated:
    """Words for each element of a list."""
    return Repeated(source, segments(*given), HERE, element, movable)


def template(
    *given: Given,
    env: Mapping[str, str | Value] | None = None,
    netns: str = "",
    prefix: Sequence[str] = (),
    guard: str = "",
) -> Template:
    """One shape of a command line."""
    variables = (env or {}).items()
    front = [word(f"{n}={v}") if isinstance(v, str) else word(f"{n}=", v) for n, v in variables]
    return Template(
        segments(*given),
        tuple((name, word(text)) for name, text in variables),
        word(value(netns)) if netns else None,
        tuple(word(text) for text in prefix),
        guard,
        front=(word("env"), *front) if front else (),
    )


def site(
    *templates: Template,
    reasons: Sequence[Reason] = (),
    result: Result = Result.IGNORED,
    line: int = 1,
    function: str = "Driver.do",
    words: str = "",
    built: str = "",
    condition: str = "",
) -> Site:
    """A call of ``service/driver.py``."""
    return Site(
        span=Span("somewhere/service/driver.py", line, 9),
        module="service.driver",
        function=function,
        executor="self._execute",
        convention=Convention.OSLO,
        root=Root.CONDITIONAL if condition else Root.ALWAYS,
        condition=condition,
        templates=tuple(templates),
        reasons=tuple(reasons),
        words_source=words,
        list_source=built,
        result=result,
    )


def _options(options: Mapping[str, str]) -> tuple[Option, ...]:
    return tuple(Option(name, source, constant=False) for name, source in options.items())


def call(*given: Given, line: int = 1, condition: str = "", **options: str) -> Site:
    """A call with one shape, and with these options of the executor."""
    made = site(template(*given), line=line, condition=condition)
    return replace(made, options=_options(options))


def converted(
    rules: str, *sites: Site, disk: Disk = NOTHING, package: str = "privileged", **options: object
) -> Conversion:
    """Convert rules of a.filters for these calls."""
    chosen = Options(package=package, exec_dirs=EXEC_DIRS, **options)  # type: ignore[arg-type]
    return convert(rules_of(rules), chosen, disk, sites)
