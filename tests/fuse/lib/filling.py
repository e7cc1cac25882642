# SPDX-License-Identifier: GPL-2.0-or-later
"""Fill a file system up and look at what is left of it.

An error may come to write(), fsync() or close(), as the cache mode has it:
a file counts as stored when none of them failed.
"""
import errno
import os

from checks import MNT, eq, eventually, ok, same_bytes
from files import fresh, noise, put

FULL = (errno.ENOSPC,)


def try_put(path, data):
    """Store a file; True, or False when it is full (the rest of the file
    is removed again)."""
    try:
        put(path, data)
        return True
    except OSError as error:
        ok(error.errno in FULL, f'{path}: {error}')
    if os.path.lexists(path):
        os.unlink(path)
    return False


def fill(piece, folder=MNT, limit=10000):
    """Files of noise of that size until no more fits; how many fit."""
    for i in range(limit):
        if not try_put(f'{folder}/fill{i}', noise(piece, i)):
            return i
    raise AssertionError(f'{limit} files of {piece} bytes fit')


def check(count, piece, folder=MNT, step=1):
    """All that was stored is intact."""
    for i in range(0, count, step):
        same_bytes(fresh(f'{folder}/fill{i}'), noise(piece, i), f'file {i}')


def room_again(count, piece, folder=MNT):
    """Deleting makes room: after removing half, a quarter fits again.
    Patient, because the kernel forgets unlinked files a little later."""
    for i in range(0, count, 2):
        os.unlink(f'{folder}/fill{i}')
    for i in range(count // 4):
        eventually(lambda i=i: try_put(f'{folder}/again{i}',
                                       noise(piece, 5000 + i)),
                   f'room for file {i} after deleting {count // 2}')
    for i in range(1, count, 2):
        same_bytes(fresh(f'{folder}/fill{i}'), noise(piece, i), f'kept {i}')
    for i in range(count // 4):
        same_bytes(fresh(f'{folder}/again{i}'), noise(piece, 5000 + i),
                   f'new {i}')


def tag(path):
    """A file with a large and a small attribute."""
    put(path, b'')
    os.setxattr(path, 'user.large', noise(60000, 1))
    os.setxattr(path, 'user.small', b'small')


def take_rest(path):
    """One file takes what is left, page by page."""
    with open(path, 'wb', buffering=0) as file:
        try:
            for i in range(10000):
                file.write(noise(4096, i))
                os.fsync(file.fileno())
        except OSError as error:
            ok(error.errno in FULL, f'{path}: {error}')
            return
    raise AssertionError('10000 pages more fit')


def untag(path):
    """Attributes are taken away on a full file system, one by one: those that
    stay are stored anew."""
    take_rest(f'{path}.rest')
    os.removexattr(path, 'user.small')
    eq(os.getxattr(path, 'user.large'), noise(60000, 1), 'what stays')
    os.removexattr(path, 'user.large')
    eq(os.listxattr(path), [], 'no attributes')
    os.unlink(f'{path}.rest')


def still_works(name, folder=MNT):
    """What makes things smaller works on a full file system; tried on a
    file that is there and is empty afterwards."""
    victim = f'{folder}/{name}'
    os.rename(victim, f'{folder}/moved')
    os.rename(f'{folder}/moved', victim)
    os.chmod(victim, 0o600)
    os.utime(victim, ns=(5, 6))
    eq(os.stat(victim).st_mtime_ns, 6, 'utimes when full')
    ok(os.listdir(folder), 'listing when full')
    os.truncate(victim, 0)
    os.unlink(victim)
    put(victim, b'')
