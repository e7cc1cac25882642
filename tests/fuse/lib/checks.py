# SPDX-License-Identifier: GPL-2.0-or-later
"""What a case says: this equals that, this fails with that errno.

Every check names what it saw, so that a failure can be read without running
it again.  Nothing here asserts on time: `eventually` is patient, because
FUSE sends RELEASE and FORGET after close() and unlink() have returned.
"""
import errno
import os
import random
import sys
import time

from mount import FS, PATIENCE

MNT = os.environ['MNT']
WORK = os.environ['WORK']
FOLDFS = os.environ['FOLDFS']
TMPFS = FS == 'tmpfs'
SANITIZED = os.environ.get('FOLDFS_SANITIZED') == '1'
NOBODY = 65534


class Wrong(AssertionError):
    """A check did not hold."""


def ok(condition, what):
    """The condition holds."""
    if not condition:
        raise Wrong(what)


def _short(value):
    text = repr(value)
    return text if len(text) < 400 else text[:200] + ' ... ' + text[-150:]


def eq(got, want, what=''):
    """Both are equal."""
    if got != want:
        raise Wrong(f'{what or "value"}: got {_short(got)}, '
                    f'want {_short(want)}')


def same_bytes(got, want, what=''):
    """Both byte strings are equal; else say where they part."""
    if got == want:
        return
    n = min(len(got), len(want))
    at = next((i for i in range(n) if got[i] != want[i]), n)
    raise Wrong(f'{what or "data"}: {len(got)} bytes, want {len(want)}, '
                f'first difference at {at}: got {bytes(got[at:at + 16]).hex()}'
                f', want {bytes(want[at:at + 16]).hex()}')


def names(*numbers):
    """Names of errno values, for messages."""
    return ' or '.join(errno.errorcode.get(n, str(n)) for n in numbers)


def fails(want, call, *args, **kwargs):
    """The call raises OSError with this errno (or one of these)."""
    allowed = want if isinstance(want, tuple) else (want,)
    try:
        got = call(*args, **kwargs)
    except OSError as error:
        if error.errno not in allowed:
            raise Wrong(f'{call.__name__}{args}: {names(error.errno)}, '
                        f'want {names(*allowed)}') from error
        return error.errno
    raise Wrong(f'{call.__name__}{args} returned {_short(got)}, '
                f'want {names(*allowed)}')


def eventually(question, what):
    """The question becomes true; its last answer is returned."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Wrong(f'never came true: {what}')
        time.sleep(0.02)


def skip(reason):
    """The case cannot be judged here."""
    print(reason)
    sys.stdout.flush()
    os._exit(77)


def seeded():
    """A random generator whose seed is printed, or given by FOLDFS_SEED."""
    seed = int(os.environ.get('FOLDFS_SEED') or random.randrange(1 << 32))
    print(f'FOLDFS_SEED={seed}')
    return random.Random(seed)


def as_user(uid, call, *args, gid=None, groups=()):
    """Run the call as that user in a child; its result must be None or a
    small picklable value; exceptions come back."""
    import pickle
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        try:
            os.setgroups(list(groups))
            os.setgid(uid if gid is None else gid)
            os.setuid(uid)
            answer = (True, call(*args))
        except BaseException as error:  # handed to the parent, all of it
            answer = (False, error)
        with os.fdopen(write_end, 'wb') as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, 'rb') as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    good, value = pickle.loads(data)
    if not good:
        raise value
    return value
