# SPDX-License-Identifier: GPL-2.0-or-later
"""Run foldfs itself as users do: command lines, exit codes, messages."""
import os
import subprocess

from checks import FOLDFS, MNT, WORK, Wrong, eq, ok
from mount import PATIENCE, is_mounted, unmount

USAGE, SYSTEM, MOUNT = 1, 2, 32


def foldfs(*words, **how):
    """Run the daemon with these words; the finished process."""
    return subprocess.run([FOLDFS, *words], capture_output=True, text=True,
                          timeout=PATIENCE, stdin=subprocess.DEVNULL,
                          check=False, **how)


def refused(options, *says, code=USAGE, source='test'):
    """These options are refused with that code, saying all of this on
    stderr, which is the result, and nothing is mounted."""
    done = foldfs('-o', options, source, MNT)
    if is_mounted(MNT):
        unmount(MNT)
        raise Wrong(f'-o {options} was taken')
    eq(done.returncode, code, f'-o {options}: {done.stderr!r}: exit code')
    for word in says:
        ok(word.lower() in done.stderr.lower(),
           f'-o {options} says {done.stderr!r}, want "{word}" in it')
    ok(len(done.stderr.splitlines()) <= 4, f'-o {options}: short, please')
    return done.stderr


class Taken:
    """Mounted in the background with these options, until the end of the
    block."""

    def __init__(self, options='', source='test', words=(), argv=None,
                 point=MNT, **how):
        os.makedirs(point, exist_ok=True)
        self.point = point
        line = argv or [FOLDFS, *words, *(['-o', options] if options else []),
                        source, point]
        done = subprocess.run(line, capture_output=True, text=True,
                              timeout=PATIENCE, stdin=subprocess.DEVNULL,
                              check=False, **how)
        self.stderr = done.stderr
        eq(done.returncode, 0, f'{line}: {done.stderr!r}: exit code')
        ok(is_mounted(point), f'{line} returned and nothing is mounted')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        eq(unmount(self.point), '', 'unmounting')

    def mount_line(self):
        """(options, type, source) from mountinfo."""
        with open('/proc/self/mountinfo', encoding='utf-8') as lines:
            for line in lines:
                if line.split()[4] == self.point:
                    left, _, right = line.partition(' - ')
                    fstype, source, _ = right.split(' ', 2)
                    return left.split()[5].split(','), fstype, source
        raise Wrong('not mounted')


def name_link(name):
    """The daemon under another name."""
    path = f'{WORK}/{name}'
    if not os.path.lexists(path):
        os.symlink(FOLDFS, path)
    return path
