"""What the daemon logs: at the client's logger, in order, complete, and never in the way."""

import logging
import threading

import pytest
from oslo_config import cfg

from privmigrate.privsep.capabilities import CAP_CHOWN, CAP_KILL
from privmigrate.privsep.client.answers import Listener
from privmigrate.privsep.daemon.logs import ChannelHandler, pack_record
from privmigrate.privsep.messages import LOG, ProtocolError
from privmigrate.privsep.priv_context import Method, PrivContext
from tests.privsep import service
from tests.privsep.service import calls


def test_records_have_arrived_when_the_call_returns(
    daemon: PrivContext, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for number in range(50):
            calls.log(logging.WARNING, str(number))
            assert caplog.records[-1].getMessage() == f"said {number}"
    record = caplog.records[-1]
    assert (record.name, record.levelname, record.funcName) == ("service.calls", "WARNING", "log")
    assert record.filename == "calls.py"
    assert record.process == calls.getpid()
    assert record.processName == "PrivContext(cfg_section=privsep_service)"


def test_the_clients_level_decides(daemon: PrivContext, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        calls.log(logging.WARNING, "quiet")
        calls.log(logging.ERROR, "loud")
    assert "quiet" not in caplog.text
    assert "said loud" in caplog.text


def test_the_contexts_logger_hears_it(daemon: PrivContext) -> None:
    heard: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(service.context.logger_name)
    logger.addHandler(handler)
    try:
        calls.log(logging.CRITICAL, "here")
    finally:
        logger.removeHandler(handler)
    assert heard == ["said here"]


def test_tracebacks_of_records_arrive_as_text(
    daemon: PrivContext, caplog: pytest.LogCaptureFixture
) -> None:
    calls.log_error()
    record = caplog.records[-1]
    assert record.exc_info is None
    assert record.exc_text is not None
    assert "OddError: code 7" in record.exc_text


def test_trap_odd_records_do_not_disturb_the_entrypoint(
    daemon: PrivContext, caplog: pytest.LogCaptureFixture
) -> None:
    assert calls.log_strangely() == 1
    first, second = caplog.records[-2:]
    assert vars(first)["thing"].startswith("<object object")
    assert vars(first)["number"] == 5
    assert "%d is no number" in second.getMessage()
    assert "cannot be formatted" in second.getMessage()


def test_records_of_other_threads_come_with_the_next_answer(
    daemon: PrivContext, caplog: pytest.LogCaptureFixture
) -> None:
    calls.log_from_thread("from a thread")
    calls.noop()
    assert "from a thread" in caplog.text


def test_a_record_that_cannot_be_encoded_costs_no_call_its_answer(
    daemon: PrivContext, caplog: pytest.LogCaptureFixture
) -> None:
    assert calls.log_half_of_a_character() == 1
    assert r"half of a character: \ud800" in caplog.text


def test_trap_values_are_not_logged(daemon: PrivContext, caplog: pytest.LogCaptureFixture) -> None:
    """With DEBUG, oslo.privsep logs every answer, secrets included."""
    with caplog.at_level(logging.DEBUG):
        calls.echo("correct horse battery staple")
    assert "horse" not in caplog.text


def test_the_daemons_traceback_is_logged_where_it_is_wanted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from oslo_config import cfg

    _ = service.context.conf
    cfg.CONF.set_override("log_daemon_traceback", True, group=service.context.cfg_section)
    try:
        service.context.start(Method.FORK)
        with pytest.raises(RuntimeError):
            calls.fail("plain")
    finally:
        cfg.CONF.clear_override("log_daemon_traceback", group=service.context.cfg_section)
        service.context.stop()
    assert "Privsep daemon traceback: Traceback (most recent call last)" in caplog.text
    assert "in fail" in caplog.text


def test_without_that_wish_no_traceback_is_sent(
    daemon: PrivContext, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RuntimeError):
        calls.fail("plain")
    assert "Traceback" not in caplog.text


def test_trap_fields_of_a_record_cannot_replace_its_methods() -> None:
    heard: list[logging.LogRecord] = []
    logger = logging.getLogger("test.fields")
    handler = logging.Handler()
    handler.emit = heard.append  # type: ignore[method-assign, assignment]
    logger.addHandler(handler)
    fields = {"msg": "fine", "levelno": 50, "getMessage": "x", "__class__": "y", 5: 6}
    Listener("test.fields", tracebacks=False).hear((LOG, 0, fields))
    assert heard[0].getMessage() == "fine"
    assert type(heard[0]) is logging.LogRecord


def test_only_records_are_heard() -> None:
    with pytest.raises(ProtocolError):
        Listener("x", tracebacks=False).hear((1, 1, 20, False))


def test_what_cannot_be_delivered_waits_and_is_counted() -> None:
    handler = ChannelHandler("p")
    record = logging.LogRecord("n", 30, "f", 1, "m", (), None)
    for _ in range(1500):
        handler.emit(record)
    taken = handler.take()
    assert len(taken) == 1001
    assert "500 log records" in str(taken[-1]["msg"])
    assert handler.take() == []


def test_the_handler_has_no_lock_and_never_raises() -> None:
    handler = ChannelHandler("p")
    assert handler.lock is None

    def deliver(_record: dict[str, object]) -> bool:
        raise OSError("gone")

    handler.deliver = deliver
    threads = [
        threading.Thread(
            target=handler.handle, args=(logging.LogRecord("n", 30, "f", 1, "m", (), None),)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handler.dropped == 4


def test_records_are_packed_into_plain_values() -> None:
    class Rude:
        def __repr__(self) -> str:
            return "r" * 5000

    record = logging.LogRecord("n", 30, "f", 1, "m %s", ("x",), None)
    record.rude = Rude()
    packed = pack_record(record, "p")
    assert packed["msg"] == "m x"
    assert len(str(packed["rude"])) == 1000


def test_what_the_configuration_leaves_out_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A command that then fails says no more than `Operation not permitted`."""
    context = PrivContext("tests", cfg_section="privsep_less", capabilities=[CAP_CHOWN, CAP_KILL])
    _ = context.conf
    cfg.CONF.set_override("capabilities", [], group="privsep_less")
    try:
        context.start(Method.FORK)
    finally:
        context.stop()
        cfg.CONF.clear_override("capabilities", group="privsep_less")
    assert (
        "(cfg_section=privsep_less): the configuration leaves out CAP_CHOWN CAP_KILL" in caplog.text
    )
