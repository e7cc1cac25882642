# SPDX-License-Identifier: GPL-2.0-or-later
"""A file as swap, a control group that needs it, and what must not stay.

Nothing here asserts or needs the environment of a case: tests/bench/swap uses
it as well.  Every loop device and control group is written down, for
`take_down`: also the runner, outside, when the case was killed.
"""
import os
import shutil
import subprocess
import time

NOTE, GROUPS = 'loops', 'groups'
PROGRAMS = ('losetup', 'mkswap', 'swapon', 'swapoff')
MIB = 1 << 20
NUDGE = 64 << 10
# Above whatever swap the machine has: it is this one that is to be used.
PRIORITY = 32767


def _read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def _write(path, text):
    with open(path, 'w', encoding='ascii') as file:
        file.write(str(text))


def _v1_top():
    """Our own group of the memory controller, version 1; None: there is none."""
    for line in _read('/proc/self/cgroup').splitlines():
        _, kinds, path = line.split(':', 2)
        if 'memory' in kinds.split(','):
            return f'/sys/fs/cgroup/memory{path.rstrip("/")}'
    return None


def _top():
    """(version, the folder below which we make groups); (0, why not)."""
    top = _v1_top()
    if top:
        # In a container the path may be the host's.
        if not os.path.isdir(top):
            top = '/sys/fs/cgroup/memory'
        return (1, top) if os.access(top, os.W_OK) else (0, f'no {top}')
    top = '/sys/fs/cgroup'
    try:
        if 'memory' in _read(f'{top}/cgroup.subtree_control').split():
            return 2, top
    except OSError:
        pass
    return 0, 'no memory control groups'


def why_not():
    """Why nothing can be swapped here; '' if it can."""
    missing = [n for n in PROGRAMS if shutil.which(n) is None]
    if os.geteuid() != 0:
        return 'needs root'
    if missing:
        return 'missing: ' + ' '.join(missing)
    if not os.path.exists('/dev/loop-control'):
        return 'no loop devices'
    version, top = _top()
    return '' if version else top


class Group:
    """A memory control group in which nobody is ended: who finds no room at the
    limit is slowed, or waits until `nudge` or a higher limit."""

    def __init__(self, work, limit):
        self.version, top = _top()
        self.path = f'{top}/foldfs-swap-{os.getpid()}-{time.monotonic_ns()}'
        with open(f'{work}/{GROUPS}', 'a', encoding='utf-8') as file:
            file.write(self.path + '\n')
        os.mkdir(self.path)
        self.limit_file = f'{self.path}/memory.high'
        if self.version == 1:
            self.limit_file = f'{self.path}/memory.limit_in_bytes'
            _write(f'{self.path}/memory.oom_control', 1)
        self.most = 0
        self.limit(limit)

    def limit(self, limit):
        """Another limit; what is above a lower one goes to swap first, which
        may have to be asked for more than once."""
        last = None
        self.most = limit
        for _ in range(200):
            try:
                return _write(self.limit_file, limit)
            except OSError as error:
                last = error
                time.sleep(0.05)
        raise last

    def waits(self):
        """Whether somebody waits for room."""
        return self.version == 1 and 'under_oom 1' in \
            _read(f'{self.path}/memory.oom_control')

    def nudge(self):
        """Whether somebody waited.  After sixteen tries, in which others of the
        group may have been faster, the kernel gives up; nobody wakes who waits
        when pages have been written."""
        if not self.waits():
            return False
        # The group stays that little bit larger: to lower the limit again
        # would take as long as everything else.
        self.limit(self.most + NUDGE)
        return True

    def enter(self):
        """The calling process, in it from now on."""
        _write(f'{self.path}/cgroup.procs', 0)

    def add(self, pid):
        """Another process."""
        _write(f'{self.path}/cgroup.procs', pid)

    def used(self):
        """Bytes in RAM that it is charged for."""
        name = 'memory.usage_in_bytes' if self.version == 1 \
            else 'memory.current'
        return int(_read(f'{self.path}/{name}'))

    def deadly(self):
        """From now on the kernel ends who finds no room."""
        if self.version == 1:
            _write(f'{self.path}/memory.oom_control', 0)
        else:
            _write(f'{self.path}/memory.max', self.most)

    def reclaim(self, n_bytes):
        """Have what can go go to swap."""
        if self.version == 1:
            try:
                _write(f'{self.path}/memory.force_empty', 0)
            except OSError:
                pass
        else:
            try:
                _write(f'{self.path}/memory.reclaim', n_bytes)
            except OSError:
                pass

    def remove(self):
        """It must be empty."""
        for _ in range(200):
            try:
                return os.rmdir(self.path)
            except OSError:
                time.sleep(0.05)
        return os.rmdir(self.path)


class Swap:
    """A loop device on a file, or a device that is there; as swap."""

    def __init__(self, path, work, direct=True):
        self.work = work
        self.is_loop = not path.startswith('/dev/')
        self.device = self._attach(path, direct) if self.is_loop else path
        subprocess.run(['mkswap', self.device], check=True,
                       capture_output=True)

    def _attach(self, path, direct):
        words = ['losetup', '--find', '--show', '--sector-size', '4096']
        if direct:
            words.append('--direct-io=on')
        device = subprocess.run(words + [path], check=True, text=True,
                                stdout=subprocess.PIPE).stdout.strip()
        note(self.work, _noted(self.work) + [device])
        # The driver drops it without a word where it cannot be.
        dio = _read(f'/sys/block/{device[5:]}/loop/dio').strip()
        if direct and dio != '1':
            raise OSError(f'{device}: no direct I/O')
        return device

    def on(self, discard=True):
        """Swap from now on."""
        words = ['swapon', '-p', str(PRIORITY)]
        subprocess.run(words + (['--discard'] if discard else [])
                       + [self.device], check=True)

    def used(self):
        """Bytes of it in use; None: it is not swap."""
        for line in _read('/proc/swaps').splitlines()[1:]:
            if line.split()[0] == self.device:
                return int(line.split()[3]) << 10
        return None

    def off(self):
        """No longer; all its pages are back in RAM."""
        while True:
            done = subprocess.run(['swapoff', self.device], check=False,
                                  env={**os.environ, 'LC_ALL': 'C'},
                                  text=True, stderr=subprocess.PIPE)
            if done.returncode == 0:
                return
            # Whoever stops and continues the machine's processes ends it.
            if 'Interrupted' not in done.stderr:
                raise OSError(done.stderr)

    def detach(self):
        """Let the file go."""
        if self.is_loop:
            subprocess.run(['losetup', '-d', self.device], check=True)
            # From now on it may be somebody else's.
            note(self.work, [device for device in _noted(self.work)
                              if device != self.device])
        self.is_loop = False


def _noted(work):
    try:
        return _read(f'{work}/{NOTE}').split()
    except OSError:
        return []


def note(work, devices):
    """Which devices are to be taken down, whatever happens."""
    _write(f'{work}/{NOTE}', '\n'.join(devices))


def _remove_groups(work):
    """Those that are still there; who was in them may be on the way out."""
    try:
        paths = _read(f'{work}/{GROUPS}').split()
    except OSError:
        return
    for path in paths:
        for _ in range(20):
            try:
                os.rmdir(path)
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.05)


def take_down(work, patience):
    """Whatever is noted in this folder: no longer swap, no longer there.
    What was left, '' if nothing.  Never touches the mount, never waits for
    more than that many seconds."""
    left = []
    for device in _noted(work):
        left.append(device)
        # Not run(): it would wait for a swapoff that nothing can end.
        with open(os.devnull, 'wb') as null:
            off = subprocess.Popen(['swapoff', device], stderr=null)
        try:
            off.wait(patience)
        except subprocess.TimeoutExpired:
            return f'swapoff {device} hangs'
        subprocess.run(['losetup', '-d', device], check=False,
                       stderr=subprocess.DEVNULL)
        note(work, [d for d in _noted(work) if d != device])
    _remove_groups(work)
    return 'was left as swap: ' + ' '.join(left) if left else ''


class Beats:
    """The heartbeat of somebody else, until the end of the block."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        self.told = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.told = results(self.process.communicate()[0])


class Eater:
    """A process that eats memory in a control group."""

    def __init__(self, program, group, *words):
        self.process = subprocess.Popen(
            [program, *(str(w) for w in words)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=group.enter)

    def is_alive(self):
        """Whether it still runs."""
        return self.process.poll() is None

    def end(self):
        """Wait for it: (status, its results, what it complains of)."""
        out, error = self.process.communicate()
        return self.process.returncode, results(out), error

    def kill(self):
        """Whatever it does."""
        self.process.kill()
        self.process.communicate()


def results(text):
    """Lines of `name value`."""
    return {line.split()[0]: float(line.split()[1])
            for line in text.splitlines()}


class Kills:
    """Whom the kernel ended for want of memory from now on, on all of the
    machine: in a group of ours it ends nobody, so whoever it is, is another.
    What met the limit of its own group is not counted, unless that is `group`:
    other tests of the machine may be about just that."""
    LOG = '/dev/kmsg'
    OWN_LIMIT = 'oom-kill:constraint=CONSTRAINT_MEMCG'

    def __init__(self, group=None):
        self.group = os.path.basename(group.path) if group else None
        self.before = self._all()
        self.lines = []
        self.log = None
        try:
            self.log = os.open(self.LOG, os.O_RDONLY | os.O_NONBLOCK)
            os.lseek(self.log, 0, os.SEEK_END)
        except OSError:
            # Then nobody is excused.
            pass

    @staticmethod
    def _all():
        for line in _read('/proc/vmstat').splitlines():
            if line.split()[0] == 'oom_kill':
                return int(line.split()[1])
        raise OSError('no oom_kill in /proc/vmstat')

    def _read_log(self):
        while self.log is not None:
            try:
                line = os.read(self.log, 8192).decode(errors='replace')
            except BlockingIOError:
                return
            except BrokenPipeError:
                # Some were overwritten; the next is the oldest there is.
                continue
            if 'oom-kill:' in line:
                self.lines.append(line.split(';', 1)[-1].strip())

    def _excused(self, line):
        return self.OWN_LIMIT in line and \
            (self.group is None or f'/{self.group},' not in line)

    def count(self):
        """How many that are not excused."""
        n = self._all() - self.before
        self._read_log()
        return n - sum(self._excused(line) for line in self.lines)

    def close(self):
        """No more is looked for."""
        if self.log is not None:
            os.close(self.log)
        self.log = None


def hung_tasks():
    """How many tasks the kernel found hung so far; 0 where it does not look."""
    try:
        return int(_read('/proc/sys/kernel/hung_task_detect_count'))
    except OSError:
        return 0
