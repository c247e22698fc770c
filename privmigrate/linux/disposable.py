"""A thread that ends with one call, and takes with it whatever the call did to the thread.

Capabilities, no_new_privs and namespaces belong to threads; most changes of them cannot be undone.
`_thread` costs half of what `threading` does (100 us against 150 us), and nothing here needs the
difference.
"""

import errno
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


def call_in_thread(call: Callable[[], _Result]) -> _Result:
    """Give what `call` gives in a new thread, or raise what it raises; wait for its end.

    Raise OSError where there can be no more threads, as where there can be no more processes.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []
    done = allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller
            errors.append(error)
        finally:
            done.release()

    try:
        start_new_thread(run, ())
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from None
    done.acquire()
    if errors:
        raise errors[0]
    return results[0]
