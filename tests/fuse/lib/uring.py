# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's permission to take requests by io_uring, for a case alone."""
import contextlib
import os

from checks import skip

PARAMETER = '/sys/module/fuse/parameters/enable_uring'


def _read():
    with open(PARAMETER, encoding='ascii') as file:
        return file.read().strip()


def _write(value):
    with open(PARAMETER, 'w', encoding='ascii') as file:
        file.write(value)


def limit(mib, workers):
    """A mem_limit of so many MiB for so many workers, and on a machine of many
    CPUs more, by what their rings take beyond 8 entries of a MiB each: one at
    least for each CPU that there may ever be (src/fs/ring.c)."""
    queues = os.sysconf('SC_NPROCESSORS_CONF')
    more = max(0, queues - 8 * workers)
    return f'mem_limit={mib + more + more // 128}m'


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
