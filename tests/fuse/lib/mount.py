# SPDX-License-Identifier: GPL-2.0-or-later
"""Mount and unmount, for the runner and for cases that mount by themselves.

`Mount` is a daemon in the foreground (or a tmpfs under FS=tmpfs): start it,
wait until it is whole, take it down and hear how the daemon ended.
"""
import os
import re
import socket
import subprocess
import time

FACTOR = float(os.environ.get('FOLDFS_TIMEOUT_FACTOR', '1'))
FS = os.environ.get('FS', 'foldfs')
# Patience: long, because it is only ever used up by a failure.
PATIENCE = 60 * FACTOR
SOCKETS = '/run/foldfs'
TMPFS_KNOWS = ('size', 'nr_inodes', 'mode', 'uid', 'gid')


def mounts_below(path):
    """Mount points at or below path with their type and device minor,
    the innermost first."""
    found = []
    with open('/proc/self/mountinfo', encoding='utf-8',
              errors='surrogateescape') as lines:
        for line in lines:
            left, _, right = line.partition(' - ')
            words = left.split()
            point = os.fsdecode(re.sub(
                rb'\\(\d{3})', lambda code: bytes([int(code[1], 8)]),
                os.fsencode(words[4])))
            if point == path or point.startswith(path.rstrip('/') + '/'):
                found.append((point, right.split()[0],
                              int(words[2].split(':')[1])))
    return found[::-1]


def is_mounted(path):
    """Whether something is mounted exactly there; never asks the mount."""
    return any(point == path for point, _, _ in mounts_below(path))


def abort_connection(minor):
    """End a FUSE connection that hangs: all its requests fail at once."""
    top = '/sys/fs/fuse/connections'
    if not os.listdir(top):
        subprocess.run(['mount', '-t', 'fusectl', 'none', top], check=False)
    try:
        with open(f'{top}/{minor}/abort', 'w', encoding='ascii') as file:
            file.write('1')
    except OSError:
        pass


class MountError(Exception):
    """The daemon did not mount, did not unmount, or ended badly."""


class Mount:
    """One mounted file system and the process that serves it."""

    def __init__(self, point, options='', source='test', log=None,
                 argv=None, env=None, cwd=None):
        self.point = point
        self.options = options
        self.log = log or os.path.join(os.environ['WORK'], 'daemon.log')
        self.process = None
        os.makedirs(point, exist_ok=True)
        if FS == 'tmpfs':
            self._mount_tmpfs()
        else:
            self._start(source, argv, env, cwd)

    def _mount_tmpfs(self):
        known = [o for o in self.options.split(',')
                 if o.split('=')[0] in TMPFS_KNOWS]
        subprocess.run(['mount', '-t', 'tmpfs', '-o',
                        ','.join(['nosuid', 'nodev'] + known),
                        'test', self.point], check=True)

    def _start(self, source, argv, env, cwd):
        if argv is None:
            argv = [os.environ['FOLDFS'], '-f']
            if self.options:
                argv += ['-o', self.options]
            argv += [source, self.point]
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, env=env, cwd=cwd)
        deadline = time.monotonic() + PATIENCE
        while not is_mounted(self.point):
            status = self.process.poll()
            if status is not None:
                raise MountError(f'daemon ended with {status}: '
                                 + self.log_text()[-2000:])
            if time.monotonic() > deadline:
                self.process.kill()
                raise MountError('the daemon does not mount')
            time.sleep(0.01)
        os.statvfs(self.point)
        # The first worker answers; others, and what they are charged, may be
        # on their way.  The socket comes last.
        while not self._listens() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _listens(self):
        """Somebody answers at the control socket, or there is to be none."""
        minor = next((minor for point, _, minor in mounts_below(self.point)
                      if point == self.point), None)
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(f'{SOCKETS}/{minor}.sock')
            except OSError:
                return self.process.poll() is not None or \
                    'no control socket' in self.log_text()
        return True

    def log_text(self):
        """What the daemon wrote so far."""
        try:
            with open(self.log, encoding='utf-8', errors='replace') as file:
                return file.read()
        except FileNotFoundError:
            return ''

    @property
    def pid(self):
        """The daemon's process id (0 for a tmpfs)."""
        return self.process.pid if self.process else 0

    def unmount(self):
        """Take it down; MountError when that is not clean."""
        problem = unmount(self.point)
        if problem and self.process:
            self.process.kill()
        if self.process:
            try:
                status = self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                status = 'nothing: it did not end after the unmount'
            if status != 0 and not problem:
                problem = f'the daemon ended with {status}'
        if problem:
            raise MountError(problem)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.unmount()


def unmount(point):
    """Unmount; '' or what went wrong.  Afterwards it is gone in any case.

    Tried again while busy: a child of the case that was killed may take a
    moment to let go of its files."""
    deadline = time.monotonic() + 20 * FACTOR
    said = ''
    while is_mounted(point):
        try:
            done = subprocess.run(['umount', point], capture_output=True,
                                  timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            _force(point)
            return 'umount hangs; the connection was aborted'
        if done.returncode == 0:
            break
        said = done.stderr.decode(errors='replace').strip()
        if time.monotonic() > deadline:
            _force(point)
            return said or 'umount failed'
        time.sleep(0.05)
    return ''


def _force(point):
    for where, fstype, minor in mounts_below(point):
        if fstype.startswith('fuse'):
            abort_connection(minor)
        subprocess.run(['umount', '-l', where], check=False,
                       capture_output=True, timeout=PATIENCE)
