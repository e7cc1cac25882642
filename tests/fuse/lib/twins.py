# SPDX-License-Identifier: GPL-2.0-or-later
"""One system call made in two trees, and all that can be seen of both after.

A `Twin` is a directory in which calls are made as some user, from inside it;
`look` is what there is to see below it, by path; `differences` compares two
such looks.
"""
import contextlib
import errno
import hashlib
import os
import stat
import time

from files import COARSE

SECOND = 10 ** 9
# A time before this was given by a call, not taken from a clock.
GIVEN = SECOND * SECOND
GROUP = 5000
# One group each: of further ones no FUSE daemon hears, and set-gid without
# group execution goes or stays by them.
USERS = {0: 0, 1000: GROUP, 1001: 1001}


@contextlib.contextmanager
def acting_as(uid, umask):
    """What is done inside is done by that user."""
    before = os.umask(umask)
    os.setgroups([USERS[uid]])
    os.setegid(USERS[uid])
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups([0])
        os.umask(before)


class Twin:
    """One of the two trees, and what is open in it."""

    def __init__(self, root):
        self.root = root
        self.open = {}
        self.seen = {}
        self.asked_ns = 0

    def call(self, uid, umask, function, args):
        """The answer, or the name of the errno."""
        os.chdir(self.root)
        self.asked_ns = time.clock_gettime_ns(COARSE)
        try:
            with acting_as(uid, umask):
                return function(self, *args)
        except OSError as error:
            return errno.errorcode.get(error.errno, error.errno)
        finally:
            os.chdir('/')

    def close(self):
        """Close what is left open."""
        while self.open:
            os.close(self.open.popitem()[1])


def look(root):
    """{path: its lstat()} of root and everything below."""
    found = {'.': os.lstat(root)}
    todo = [('', root)]
    while todo:
        under, folder = todo.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                path = under + entry.name
                found[path] = os.lstat(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    todo.append((path + '/', entry.path))
    return found


def plain(st):
    """What of a stat() must be the same in both."""
    isdir = stat.S_ISDIR(st.st_mode)
    return (oct(st.st_mode), st.st_nlink, st.st_uid, st.st_gid,
            None if isdir else st.st_size, st.st_rdev)


def _same_file(seen):
    """{path: the first path of the same file}."""
    first = {}
    return {path: first.setdefault(st.st_ino, path)
            for path, st in sorted(seen.items())}


def deep(root, seen):
    """{path: contents, target, attributes} of everything there."""
    found = {}
    for path, st in seen.items():
        where = f'{root}/{path}'
        what = {}
        for name in sorted(os.listxattr(where, follow_symlinks=False)):
            what[name] = os.getxattr(where, name, follow_symlinks=False)
        if stat.S_ISLNK(st.st_mode):
            what['target'] = os.readlink(where)
        elif stat.S_ISREG(st.st_mode):
            with open(where, 'rb') as file:
                what['data'] = hashlib.sha1(file.read()).hexdigest()
        found[path] = what
    return found


def _times(was, now, asked_ns):
    """For mtime and ctime: whether it changed, and whether it must show."""
    for name in ('st_mtime_ns', 'st_ctime_ns'):
        before, after = getattr(was, name), getattr(now, name)
        yield before != after, before < asked_ns, after


def _stamps(path, ours, theirs):
    """Times that changed in one tree only. They may be of a clock of ticks:
    two changes in one of them look like one. What goes through a fifo no FUSE
    daemon hears of."""
    old, new = ours.seen.get(path), theirs.seen.get(path)
    if (not old or not new or stat.S_ISFIFO(new.st_mode) or
            old.st_ino != ours.now[path].st_ino or
            new.st_ino != theirs.now[path].st_ino):
        return
    pairs = zip(('mtime', 'ctime'),
                _times(old, ours.now[path], ours.asked_ns),
                _times(new, theirs.now[path], theirs.asked_ns))
    for name, (mine, shows, at), (want, can, want_at) in pairs:
        if mine != want and (can if mine else shows):
            yield (f'{path}: {name} ' + ('changed' if mine else 'stayed'))
        if (mine or want) and min(at, want_at) < GIVEN and at != want_at:
            yield f'{path}: {name} is {at}, want {want_at}'


def differences(ours, theirs, times=True):
    """All in which the first differs from the second, as sentences; each
    must have been called alike since the last time."""
    ours.now, theirs.now = look(ours.root), look(theirs.root)
    found = [f'{path}: in one only'
             for path in sorted(set(ours.now) ^ set(theirs.now))]
    if not found:
        for path, st in ours.now.items():
            mine, want = plain(st), plain(theirs.now[path])
            if mine != want:
                found.append(f'{path}: {mine}, want {want}')
            if times:
                found.extend(_stamps(path, ours, theirs))
        if _same_file(ours.now) != _same_file(theirs.now):
            found.append('other hard links')
    ours.seen, theirs.seen = ours.now, theirs.now
    return found


def deep_differences(ours, theirs):
    """As differences(), of what is inside."""
    mine, want = deep(ours.root, ours.seen), deep(theirs.root, theirs.seen)
    return [f'{path}: {mine.get(path)}, want {want.get(path)}'
            for path in sorted(set(mine) | set(want))
            if mine.get(path) != want.get(path)]
