"""A service under eventlet: everything is patched before anything of ours is imported.

Arguments: ``fork`` or ``helper``, and the name of what to do. Prints one line of JSON.
"""

# ruff: noqa: E402, TC003 - the order is what eventlet's users must keep to
import eventlet  # type: ignore[import-untyped]

eventlet.monkey_patch()

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable

from oslo_config import cfg

from privmigrate.errors import ChannelClosed
from privmigrate.privsep.comm import PrivsepTimeout
from privmigrate.privsep.priv_context import Method
from tests.privsep import green_calls as calls


def call_together() -> object:
    """Slow calls of green threads run at the same time, and the hub goes on meanwhile."""
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            eventlet.sleep(0.01)

    ticker = eventlet.spawn(tick)
    start = time.monotonic()
    pool = eventlet.GreenPool()
    values = list(pool.imap(calls.sleep_and_give, [0.3] * 8, range(8)))
    seconds = time.monotonic() - start
    ticker.kill()
    return {"values": values, "together": seconds < 1.5, "ticked": ticks > 10}


def call_often() -> object:
    """Answers go to who asked."""
    pool = eventlet.GreenPool(50)
    values = list(pool.imap(calls.echo, range(2000)))
    return values == list(range(2000))


def send_much() -> object:
    """Large values both ways, from several green threads."""
    data = [bytes([number]) * 1_000_000 for number in range(6)]
    pool = eventlet.GreenPool()
    return list(pool.imap(calls.echo, data)) == data


def fail() -> object:
    """Errors are what they were."""
    try:
        calls.fail()
    except FileNotFoundError as error:
        return error.filename
    return None


def give_up() -> object:
    """The context's own timeout, and eventlet's around a call; the next call works."""
    found = []
    calls.context.timeout = 0.2
    try:
        calls.sleep_and_give(30.0, 0)
    except PrivsepTimeout:
        found.append("ours")
    calls.context.timeout = None
    try:
        with eventlet.Timeout(0.2):
            calls.sleep_and_give(30.0, 0)
    except eventlet.Timeout:
        found.append("eventlet's")
    return [*found, calls.echo("next")]


def lose_the_daemon() -> object:
    """Who waits for a daemon that dies is told; the next call starts another."""
    first = calls.getpid()
    waiting = eventlet.spawn(calls.sleep_and_give, 30.0, 0)
    eventlet.sleep(0.1)
    os.kill(first, signal.SIGKILL)
    try:
        waiting.wait()
    except ChannelClosed as closed:
        return [closed.may_have_run, calls.getpid() != first]
    return None


def look_at_the_daemon() -> object:
    """A forked daemon has the interpreter's own modules again: its threads are real."""
    return {"here": socket.socket.__module__, "there": calls.module_of_socket()}


def run_a_command() -> object:
    """Commands go the same way."""
    return calls.say("hello")


def main(way: str, what: str) -> None:
    """Start the daemon, do it, end the daemon."""
    cfg.CONF([], project="green", default_config_files=[], default_config_dirs=[])
    calls.context.conf  # noqa: B018 - registers the options
    section = calls.context.cfg_section
    cfg.CONF.set_override("thread_pool_size", 8, group=section)
    helper = f"{sys.executable} -W ignore -m privmigrate.privsep.daemon.main"
    cfg.CONF.set_override("helper_command", helper, group=section)
    calls.context.start(Method.FORK if way == "fork" else Method.ROOTWRAP)
    function: Callable[[], object] = globals()[what]
    answer = function()
    calls.context.stop()
    print(json.dumps(answer))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(*sys.argv[1:])
