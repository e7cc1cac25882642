# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's permission to take requests by io_uring, for a case alone."""
import contextlib

from checks import skip

PARAMETER = '/sys/module/fuse/parameters/enable_uring'


def _read():
    with open(PARAMETER, encoding='ascii') as file:
        return file.read().strip()


def _write(value):
    with open(PARAMETER, 'w', encoding='ascii') as file:
        file.write(value)


@contextlib.contextmanager
def permission(given):
    """As it is with or without it; what was there comes back."""
    try:
        before = _read()
        _write('Y' if given else 'N')
    except OSError as error:
        skip(f'no FUSE over io_uring here: {error}')
    try:
        yield
    finally:
        _write(before)
