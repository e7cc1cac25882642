# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a bench runs, and the promise that nothing of it stays.

The bench is a child in a mount namespace of its own; its parent, the guardian,
does nothing but wait. What outlives a process (a zram device, a loop device, a
cgroup) is written down in a journal before it is used, and struck out when it is
taken away. However the child ends, the guardian kills what it had started, and
takes away what is left in the journal; the mounts went with the namespace. If it is
the guardian that is killed, the child ends as if interrupted and sweeps the journal
itself. If both are killed at once, the next start does.
"""
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CLONE_NEWNS = 0x00020000
MS_REC_PRIVATE = 0x4000 | 0x40000
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
JOURNALS = '/run/foldfs-bench'
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

libc = ctypes.CDLL(None, use_errno=True)


class Interrupted(BaseException):
    """A signal asked the bench to end."""


def die_with_parent():
    """For preexec_fn: no program stays when the bench is killed."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def own_group():
    """For preexec_fn of a command that starts others: end_group() finds them all."""
    os.setpgid(0, 0)
    die_with_parent()


def end_group(process):
    """A command and what it started; a wrapper before it may tidy up first."""
    for number, seconds in ((signal.SIGTERM, 2), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)


class Journal:
    """Lines `+KIND NAME` of what must be taken away, `-KIND NAME` when it was.

    Locked as long as the guardian or the bench lives: so a journal that can be
    locked is nobody's any more.
    """

    def __init__(self, path):
        self.path = path
        self.file = open(path, 'x', encoding='utf-8')
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def add(self, kind, name):
        self._say(f'+{kind} {name}')

    def remove(self, kind, name):
        self._say(f'-{kind} {name}')

    def _say(self, line):
        self.file.write(line + '\n')
        self.file.flush()


def _left(path):
    """What a journal names and does not strike out, in the order of adding."""
    lines = {}
    with open(path, encoding='utf-8') as file:
        for line in file.read().split('\n'):
            if line.startswith('+'):
                lines[line[1:]] = True
            elif line:
                lines.pop(line[1:], None)
    return list(lines)


def _take_away(kind, name):
    if kind == 'zram':
        write(f'/sys/block/zram{name}/reset', '1')
        write('/sys/class/zram-control/hot_remove', name)
    elif kind == 'loop':
        subprocess.run(['losetup', '-d', name], check=True, stderr=subprocess.DEVNULL)
    elif kind == 'cgroup':
        os.rmdir(name)
    elif kind == 'directory':
        shutil.rmtree(name)
    elif kind == 'swap':
        subprocess.run(['swapoff', name], check=True, stderr=subprocess.DEVNULL)
    elif kind == 'file':
        # What a kernel parameter was: PATH=VALUE.
        path, value = name.split('=', 1)
        write(path, value)


def _sweep(path):
    """Take away what a journal names, last first; what was gone is fine."""
    for line in reversed(_left(path)):
        kind, name = line.split(' ', 1)
        for _ in range(100):
            try:
                _take_away(kind, name)
                break
            except (FileNotFoundError, NotADirectoryError):
                break
            except (OSError, subprocess.SubprocessError):
                time.sleep(0.1)
        else:
            print(f'bench: could not take away {line}', file=sys.stderr)
    os.unlink(path)


def _sweep_stale():
    """Of a guardian that was killed."""
    for name in os.listdir(JOURNALS):
        try:
            with open(f'{JOURNALS}/{name}', encoding='utf-8') as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _sweep(f'{JOURNALS}/{name}')
        except (BlockingIOError, FileNotFoundError):
            continue


def write(path, text):
    """One write, as files of the kernel want it."""
    with open(path, 'w', encoding='ascii') as file:
        file.write(str(text))


def inside(main):
    """Run main(journal, directory) in a world of its own; its exit code."""
    os.makedirs(JOURNALS, exist_ok=True)
    lock = os.open(JOURNALS, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    _sweep_stale()
    journal = Journal(f'{JOURNALS}/{os.getpid()}')
    os.close(lock)
    directory = tempfile.mkdtemp(prefix='foldfs-bench-')
    journal.add('directory', directory)
    sys.stdout.flush()
    # What loses its parent comes to us, to be killed in the end.
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    guardian = os.getpid()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = _child(main, journal, directory, guardian)
            if os.getppid() != guardian:
                libc.umount2(directory.encode(), MNT_DETACH)
                _sweep(journal.path)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def tell(*_):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    # From a terminal the child has it twice, which does no harm.
    for number in SIGNALS:
        signal.signal(number, tell)
    ended = 0
    while ended != pid:
        ended, status = os.waitpid(-1, 0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _end_orphans()
    _sweep(journal.path)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _end_orphans():
    """Kill whatever is left of the bench; its children come to us then."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with open('/proc/thread-self/children', encoding='ascii') as file:
                for pid in file.read().split():
                    os.kill(int(pid), signal.SIGKILL)
        except FileNotFoundError:
            return
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.02)


def _child(main, journal, directory, guardian):
    if libc.unshare(CLONE_NEWNS) or libc.mount(b'none', b'/', None, MS_REC_PRIVATE, None):
        print('bench: cannot make a mount namespace (root is needed)', file=sys.stderr)
        return 77
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=90%', 'foldfs-bench', directory],
                   check=True)

    def interrupted(*_):
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise Interrupted

    try:
        for number in SIGNALS:
            signal.signal(number, interrupted)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != guardian:
            raise Interrupted
        return main(journal, directory)
    except Interrupted:
        print('bench: interrupted, everything is taken down', file=sys.stderr)
        return 130


class Cgroup:
    """A memory cgroup, of either version, that programs are put into."""

    def __init__(self, journal, name):
        self.journal = journal
        self.path = ''
        self.procs = ''
        top = self._top()
        if top:
            self.path = f'{top}/foldfs-bench-{os.getpid()}-{name}'
            journal.add('cgroup', self.path)
            os.mkdir(self.path)
            self.procs = f'{self.path}/cgroup.procs'

    @staticmethod
    def _top():
        if os.path.exists('/sys/fs/cgroup/memory/memory.usage_in_bytes'):
            return '/sys/fs/cgroup/memory'
        try:
            with open('/sys/fs/cgroup/cgroup.subtree_control', encoding='ascii') as file:
                if 'memory' in file.read().split():
                    return '/sys/fs/cgroup'
        except OSError:
            pass
        return ''

    def join(self):
        """For preexec_fn."""
        if self.procs:
            write(self.procs, os.getpid())

    def charged(self):
        """{'anon', 'shmem', 'page cache', 'kernel'}: all that is charged."""
        if not self.path:
            return {}
        stat = {}
        with open(f'{self.path}/memory.stat', encoding='ascii') as file:
            for line in file:
                name, value = line.split()
                stat[name] = int(value)
        v1 = os.path.exists(f'{self.path}/memory.usage_in_bytes')
        with open(f'{self.path}/' + ('memory.usage_in_bytes' if v1 else 'memory.current'),
                  encoding='ascii') as file:
            all_of_it = int(file.read())
        anon = stat['rss' if v1 else 'anon']
        cache = stat['cache' if v1 else 'file']
        return {'anon': anon, 'shmem': stat['shmem'],
                'page cache': cache - stat['shmem'],
                'kernel': max(all_of_it - anon - cache, 0)}

    def reclaim(self):
        """Give back what the kernel can: clean page cache, unused inodes. None
        of it by swapping, which would only hide it."""
        v1 = os.path.exists(f'{self.path}/memory.force_empty')
        swap, never = (('memory.swappiness', '0') if v1 else ('memory.swap.max', '0'))
        usual = self._set(swap, never)
        self._set(*(('memory.force_empty', '0') if v1 else ('memory.reclaim', '1T')))
        if usual:
            self._set(swap, usual)

    def _set(self, name, value):
        """Write a file of the cgroup; what it held, '' if there is none. That not
        all of what is asked for can go (EAGAIN) is no error."""
        path = f'{self.path}/{name}'
        usual = ''
        try:
            if os.stat(path).st_mode & 0o400:
                with open(path, encoding='ascii') as file:
                    usual = file.read().strip()
            write(path, value)
        except OSError:
            pass
        return usual

    def close(self):
        if not self.path:
            return
        for _ in range(100):
            try:
                os.rmdir(self.path)
            except FileNotFoundError:
                pass
            except OSError:
                time.sleep(0.05)
                continue
            self.journal.remove('cgroup', self.path)
            return
