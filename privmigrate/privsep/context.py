"""Contexts: a capability profile, the entrypoints that run under it, and the way to their daemon.

One object, two lives: in the service it starts the daemon and sends calls to it; in the daemon it
holds the table of what may be called. The client's half is imported on the first start, the
daemon's half by whoever becomes the daemon: neither imports the other.
"""

import enum
import logging
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar, cast, overload

from privmigrate.errors import ChannelClosed
from privmigrate.privsep import settings
from privmigrate.privsep.entrypoint import MARK, CommandEntrypoint, Entrypoint, name_of

if TYPE_CHECKING:
    from types import ModuleType

    from privmigrate.privsep.client.channel import Channel
    from privmigrate.privsep.commands import Command

_LOG: Final = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


@enum.unique
class Method(enum.Enum):
    """How a daemon starts: as a child of a privileged process, or by sudo or rootwrap."""

    FORK = 1
    ROOTWRAP = 2


class Decorator(Protocol):
    """Makes an entrypoint of a command or of a plain function."""

    @overload
    def __call__(self, func: "Command[P]", /) -> CommandEntrypoint[P]: ...

    @overload
    def __call__(self, func: Callable[P, R], /) -> Entrypoint[P, R]: ...


class _RootHelper:
    """What stands in front of the helper's command line; set once, by `init`."""

    words: tuple[str, ...] = ("sudo",)


def init(root_helper: list[str] | None = None) -> None:
    """Say how to become root: words to put before the helper's command, ``["sudo"]`` by default.

    A context whose option `helper_command` is set ignores it.
    """
    if root_helper:
        _RootHelper.words = tuple(root_helper)


class PrivContext:
    """A named capability profile with its entrypoints and its daemon.

    Args:
        prefix: the package whose modules may have entrypoints of this context.
        cfg_section: the section of the configuration that this context reads.
        pypath: the dotted name under which this object can be imported, for the helper.
        capabilities: what the daemon and its commands keep; [] keeps none.
        logger_name: the client's logger that gets what the daemon logs.
        timeout: seconds that a call may take; None waits.
    """

    def __init__(  # noqa: PLR0917 - oslo.privsep's signature
        self,
        prefix: str,
        cfg_section: str = settings.DEFAULT_SECTION,
        pypath: str | None = None,
        capabilities: Iterable[int] | None = None,
        logger_name: str = settings.DEFAULT_LOGGER,
        timeout: float | None = None,
    ) -> None:
        if capabilities is None:
            raise ValueError("capabilities is a required parameter")
        self.prefix = prefix
        self.cfg_section = cfg_section
        self.pypath = pypath
        self.capabilities = tuple(int(number) for number in capabilities)
        self.logger_name = logger_name
        self.timeout = timeout
        self.client_mode = True
        self.channel: Channel | None = None
        self.start_lock = threading.Lock()
        self._method = Method.ROOTWRAP
        self._entrypoints: dict[str, Entrypoint[..., object]] = {}
        self._sealed = False
        self._registered = False
        if settings.is_configured():
            self._register()

    def __repr__(self) -> str:
        return f"PrivContext(cfg_section={self.cfg_section})"

    @property
    def conf(self) -> Any:
        """This context's section of oslo.config."""
        self._register()
        from privmigrate.privsep import options

        return options.section_of(self.cfg_section)

    def _register(self) -> None:
        if not self._registered:
            from privmigrate.privsep import options

            options.register(self.cfg_section, self.capabilities, self.logger_name)
            self._registered = True

    # -- the table of entrypoints

    @overload
    def entrypoint(self, func: "Command[P]") -> CommandEntrypoint[P]: ...

    @overload
    def entrypoint(self, func: Callable[P, R]) -> Entrypoint[P, R]: ...

    def entrypoint(self, func: Any) -> Any:
        """Make this function run in the context's daemon: a decorator."""
        return self._entrypoint(func, None)

    def entrypoint_with_timeout(self, timeout: float) -> "Decorator":
        """As `entrypoint`, for calls that may take so many seconds."""

        def wrap(func: Any) -> Any:
            return self._entrypoint(func, timeout)

        return cast("Decorator", wrap)

    def _entrypoint(self, func: Any, timeout: float | None) -> Entrypoint[..., object]:
        if not self.is_below_prefix(func.__module__):
            raise AssertionError(f'{self!r} entrypoints must be below "{self.prefix}"')
        if getattr(func, MARK, None) is not None:
            raise AssertionError(f"{func!r} is already associated with another PrivContext")
        made: Entrypoint[..., object]
        if hasattr(func, "checked"):
            made = cast("Entrypoint[..., object]", CommandEntrypoint(self, func, timeout))
        else:
            made = Entrypoint(self, func, timeout)
        # INV-10: what was decorated before the table was sealed is all that a client can call
        if not self._sealed:
            self._entrypoints[made.name] = made
        return made

    def is_below_prefix(self, module: str) -> bool:
        """Whether a module is the prefix itself or lies below it, by whole components."""
        return module == self.prefix or module.startswith(self.prefix + ".")

    def is_entrypoint(self, func: object) -> bool:
        """Whether this is an entrypoint of this context."""
        return getattr(func, MARK, None) is self

    def find(self, name: str) -> Entrypoint[..., object] | None:
        """Look an entrypoint up by the name that a CALL gives it."""
        return self._entrypoints.get(name)

    def seal(self, *, sealed: bool) -> None:
        """Close the table; the daemon opens it again only while it loads a module itself."""
        self._sealed = sealed

    # -- calls

    def set_client_mode(self, enabled: bool) -> None:  # noqa: FBT001 - oslo.privsep's signature
        """Say whether calls go to the daemon; in the daemon itself they do not."""
        self.client_mode = enabled

    def call(
        self,
        entrypoint: Entrypoint[..., object],
        args: tuple[object, ...],
        kwargs: dict[str, object],
        within: float | None = None,
    ) -> object:
        """Have the daemon run an entrypoint, starting it first if need be.

        `within` are the seconds that this call may take, if that is less than any may.
        """
        timeout = entrypoint.timeout or self.timeout
        if within is not None and (timeout is None or within < timeout):
            timeout = within
        channel = self.channel
        if channel is None or not channel.running:
            channel = self._restart(entrypoint.name)
        try:
            return channel.call(entrypoint, args, kwargs, timeout)
        except ChannelClosed as closed:
            if closed.may_have_run:
                raise
        # the request never reached the daemon, which is gone: once more, with a new one
        channel = self._restart(entrypoint.name)
        return channel.call(entrypoint, args, kwargs, timeout)

    async def call_async(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Await an entrypoint of this context; cancelling the task cancels the call."""
        if not isinstance(function, Entrypoint) or not self.is_entrypoint(function):
            raise TypeError(f"{function!r} is no entrypoint of {self!r}")
        if not self.client_mode:
            return cast("R", function.local(*args, **kwargs))
        channel = self.channel
        if channel is None or not channel.running:
            channel = await _in_thread(self._restart, function.name)
        timeout = function.timeout or self.timeout
        try:
            answered = await channel.call_async(function, args, kwargs, timeout)
        except ChannelClosed as closed:
            if closed.may_have_run:
                raise
            channel = await _in_thread(self._restart, function.name)
            answered = await channel.call_async(function, args, kwargs, timeout)
        return cast("R", function.finish(answered))

    def _wrap(
        self,
        func: Callable[..., object],
        *args: object,
        _wrap_timeout: float | None = None,
        **kwargs: object,
    ) -> object:
        """Call any function by its name, as oslo.privsep has it: the daemon knows which it may."""
        if not self.client_mode:
            return func(*args, **kwargs)
        return self.call(Entrypoint(self, func, _wrap_timeout), args, kwargs)

    # -- the daemon's life, seen from the client

    def start(self, method: Method = Method.ROOTWRAP) -> None:
        """Start the daemon, and remember how for every later start."""
        with self.start_lock:
            if self.channel is not None:
                _LOG.warning("privsep daemon already running")
                return
            if not isinstance(method, Method):
                raise ValueError(f"Unknown method: {method}")  # noqa: TRY004 - as oslo.privsep
            self._method = method
            self.channel = self._launch()

    def stop(self) -> None:
        """End the daemon; the next call starts it again."""
        with self.start_lock:
            channel, self.channel = self.channel, None
        if channel is not None:
            channel.close()

    def _restart(self, why: str) -> "Channel":
        """Replace a channel that was found dead; leave one alone that is not."""
        with self.start_lock:
            if self.channel is not None and self.channel.running:
                return self.channel  # another thread was first, or it was one connection that ended
            if self.channel is not None:
                _LOG.warning("RESTARTING %r for %s", self, why)
                self.channel.bury()
                self.channel = None
            self.channel = self._launch()
            return self.channel

    def _launch(self) -> "Channel":
        client = self._client()
        if self._method is Method.FORK:
            channel: Channel = client.fork(self, self._prepare_daemon())
        else:
            channel = client.run_helper(self)
        return channel

    @staticmethod
    def _client() -> "ModuleType":
        # the daemon never gets here, and so never imports the client's half
        from privmigrate.privsep.client import launch

        return launch

    @staticmethod
    def _prepare_daemon() -> "Callable[..., None]":
        # before the fork: a child of a process with threads should import as little as it can
        from privmigrate.privsep.daemon import main

        return main.serve_forked

    def helper_command(self, sockpath: str) -> list[str]:
        """The command line that starts the helper.

        Words and their order are the same for the same configuration, because sudoers files and
        filters compare them.
        """
        if self.pypath is None:
            raise AssertionError("helper_command requires priv_context pypath to be specified")
        if self._client().find_object(self.pypath) is not self:
            raise AssertionError("helper_command requires priv_context pypath for context object")
        own = settings.read(self)
        if own.helper_command:
            import shlex

            words = shlex.split(own.helper_command)
        else:
            words = [*_RootHelper.words, settings.HELPER]
            if settings.is_configured():
                from privmigrate.privsep import options

                files, folders = options.read_config_paths()
                words += [word for file in files for word in ("--config-file", file)]
                words += [word for folder in folders for word in ("--config-dir", folder)]
        return [*words, "--privsep_context", self.pypath, "--privsep_sock_path", sockpath]


async def _in_thread(start: "Callable[..., Channel]", *args: object) -> "Channel":
    """Wait for a daemon to start, and let the event loop go on."""
    import asyncio

    return await asyncio.get_running_loop().run_in_executor(None, start, *args)


__all__ = ["Method", "PrivContext", "init", "name_of"]
