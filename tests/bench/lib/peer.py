# SPDX-License-Identifier: GPL-2.0-or-later
"""What foldfs is measured against: how each is set up, charged, taken down.

`make(name, world, size, options)` gives one that is up. It offers

    dir       a directory for files, or None if it is one block device or file
    file      a path for one large file: below dir, or the device itself
    timed()   runs a command as a client, wrapped by $BENCH_WRAP, and times it
    client()  the same, neither wrapped nor timed
    memory()  what it takes of RAM, by kind

Its programs and clients are in a memory cgroup of its own, so that the kernel
itself says what is charged: anonymous memory, shmem, page cache, slabs. What the
kernel charges to nobody is asked of the peer: zram's pool, table and handles.
"""
import contextlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time

import world as worlds
from case import CannotRun

HERE = os.path.dirname(os.path.abspath(__file__))
ZRAM_ENTRY = 16  # bytes of the kernel's table for each page of a zram device
MOST_SECONDS = 900
FUSE_URING = '/sys/module/fuse/parameters/enable_uring'
DISK = '/var/tmp'


class Failed(Exception):
    """A program of the bench did not do what it was asked to."""


class Timed:
    """What a timed command took, and said."""

    def __init__(self, report, stdout):
        self.seconds = report['seconds']
        self.user = report['user']
        self.system = report['system']
        self.stdout = stdout


class Peer:
    """One peer, up between `with` and its end."""
    name = ''
    title = ''
    programs = ()
    # Until it has given back by itself what nothing at hand needs.
    rest_s = 0

    def __init__(self, world, size, options):
        self.world = world
        self.size = size
        self.options = options
        self.stack = contextlib.ExitStack()
        self.top = self.dir = self.file = None
        self.cgroup = None
        self.described = ''

    def __enter__(self):
        for program in self.programs:
            if not shutil.which(program):
                raise CannotRun(f'{program} is not installed')
        self.top = tempfile.mkdtemp(prefix=self.name + '-', dir=self.world.directory)
        self.stack.callback(shutil.rmtree, self.top, ignore_errors=True)
        try:
            self.cgroup = worlds.Cgroup(self.world.journal, os.path.basename(self.top))
            self.stack.callback(self.cgroup.close)
            self.up()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_):
        self.stack.close()

    def up(self):
        raise NotImplementedError

    def own(self):
        """{kind: bytes} of RAM that is charged to no cgroup."""
        return {}

    def memory(self, reclaim=False):
        """{kind: bytes}; reclaim: after the kernel gave back what it could."""
        if reclaim:
            subprocess.run(['sync', '-f', self.dir or self.top], check=False)
            self._reclaim()
        return {**self.cgroup.charged(), **self.own()}

    def _reclaim(self):
        """As long as something goes. The kernel spares what was used just now;
        inodes of a disk's file system outlive their names by a round or two, and
        what RCU frees is uncharged some time after."""
        before = None
        for number in range(10):
            worlds.write('/proc/sys/vm/drop_caches', '2')
            self.cgroup.reclaim()
            time.sleep(0.05)
            left = sum(self.cgroup.charged().values())
            if number >= 2 and before - left < 64 << 10:
                break
            before = left

    def forget(self, path=''):
        """Let the kernel forget the pages of a file that it holds clean, or a
        copy of memory is measured and not the peer."""
        fd = os.open(path or self.file, os.O_RDONLY)
        try:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)

    # Programs

    def timed(self, argv, cwd=None, env=None, seconds=MOST_SECONDS):
        """Run a client; Failed if it fails."""
        report = f'{self.world.directory}/report'
        command = shlex.split(os.environ.get('BENCH_WRAP', '')) + [
            '/usr/bin/python3', '-S', f'{HERE}/stopwatch.py', report, self.cgroup.procs, *argv]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(report)
        start = time.monotonic()
        done = _run(command, seconds, cwd=cwd, env=env, preexec_fn=worlds.own_group)
        try:
            with open(report, encoding='ascii') as file:
                said = json.load(file)
        except (OSError, ValueError):
            said = {'code': done.returncode}
        if said['code'] != 0 or 'seconds' not in said:
            raise Failed(f'{self.name}: {shlex.join(argv)[:300]}: exit {said["code"]}: '
                         + (done.stdout[-500:] + done.stderr[-500:]).strip())
        self.world.timed += said['seconds']
        self.world.around += time.monotonic() - start - said['seconds']
        return Timed(said, done.stdout)

    def client(self, argv, cwd=None, env=None, seconds=MOST_SECONDS):
        """Run a client that is not timed; what it printed."""
        done = _run(argv, seconds, cwd=cwd, env=env, preexec_fn=self._client)
        if done.returncode:
            raise Failed(f'{self.name}: {shlex.join(argv)[:300]}: exit {done.returncode}: '
                         + (done.stdout[-500:] + done.stderr[-500:]).strip())
        return done.stdout

    def _client(self):
        worlds.own_group()
        self.cgroup.join()

    def _in_cgroup(self):
        worlds.die_with_parent()
        self.cgroup.join()

    def call(self, *argv):
        """A set-up command, outside of the peer's cgroup."""
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotRun(f'{shlex.join(argv)}: {(done.stderr or done.stdout).strip()[-300:]}')
        return done.stdout.strip()

    def daemon(self, argv, ready, stop=None):
        """Start a program that stays, and wait until ready()."""
        log = open(f'{self.top}/log', 'w+', encoding='utf-8')
        self.stack.callback(log.close)
        process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                   preexec_fn=self._in_cgroup)
        self.stack.callback(_end, process)
        if stop:
            self.stack.callback(stop)
        deadline = time.monotonic() + 30
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise CannotRun(f'{argv[0]} did not start: {log.read()[-300:].strip()}')
            time.sleep(0.02)
        return process

    # Parts that several peers are made of

    def parameter(self, path, value):
        """A parameter of the kernel has another value until the peer is down."""
        try:
            with open(path, encoding='ascii') as file:
                usual = file.read().strip()
            if usual == value:
                return
            self.world.journal.add('file', f'{path}={usual}')
            self.stack.callback(self.world.journal.remove, 'file', f'{path}={usual}')
            self.stack.callback(worlds.write, path, usual)
            worlds.write(path, value)
        except OSError as error:
            raise CannotRun(f'{path} cannot be {value}: {error.strerror}') from None

    def mount(self, kind, source, options=''):
        """Mount below top; the directory."""
        directory = f'{self.top}/mount'
        os.mkdir(directory)
        self.call('mount', '-t', kind, '-o', options or 'rw', source, directory)
        self.stack.callback(_unmount, directory)
        return directory

    def zram(self, size, codec='lz4'):
        """A new zram device; its number is kept for own()."""
        try:
            with open('/sys/class/zram-control/hot_add', encoding='ascii') as file:
                number = int(file.read())
        except OSError as error:
            raise CannotRun(f'no zram here: {error}') from None
        journal = self.world.journal
        journal.add('zram', number)
        self.stack.callback(_drop_zram, journal, number)
        base = f'/sys/block/zram{number}'
        try:
            worlds.write(f'{base}/comp_algorithm', codec)
        except OSError:
            raise CannotRun(f'the kernel has no zram with {codec}') from None
        worlds.write(f'{base}/disksize', size)
        self.zram_number = number
        return f'/dev/zram{number}'

    def zram_own(self):
        """Pool, table, handles of a zram device."""
        base = f'/sys/block/zram{self.zram_number}'
        with open(f'{base}/mm_stat', encoding='ascii') as file:
            stat = [int(word) for word in file.read().split()]
        with open(f'{base}/disksize', encoding='ascii') as file:
            pages = int(file.read()) // 4096
        return {'zram pool': stat[2], 'zram table': pages * ZRAM_ENTRY,
                'zram handles': slabs(f'-zram{self.zram_number} ')}

    def on_disk(self):
        """A directory that is not in memory."""
        directory = tempfile.mkdtemp(prefix='foldfs-bench-', dir=DISK)
        journal = self.world.journal
        journal.add('directory', directory)
        self.stack.callback(journal.remove, 'directory', directory)
        self.stack.callback(shutil.rmtree, directory, ignore_errors=True)
        return directory

    def loop(self, path, direct=False):
        """A loop device over a file."""
        device = self.call('losetup', '--find', '--show', '--sector-size', '4096',
                           *(['--direct-io=on'] if direct else []), path)
        journal = self.world.journal
        journal.add('loop', device)
        self.stack.callback(_drop_loop, journal, device)
        return device


def _run(argv, seconds, **how):
    """As subprocess.run(), but what the command started ends with it when it
    takes too long, or the bench is interrupted."""
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors='replace', **how) as process:
        try:
            out, said = process.communicate(timeout=seconds)
        except BaseException:
            worlds.end_group(process)
            raise
    return subprocess.CompletedProcess(argv, process.returncode, out, said)


def slabs(mark):
    """Bytes of the kernel's slabs whose names have the mark; 0 if unknown."""
    try:
        with open('/proc/slabinfo', encoding='ascii') as file:
            lines = [line.split() for line in file if mark in line]
    except OSError:
        return 0
    return sum(int(w[2]) * int(w[3]) for w in lines)


def _end(process):
    """The program goes by itself now, or else by force."""
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _unmount(directory):
    """At once if nobody is in it, else when the last has left."""
    for _ in range(50):
        if subprocess.run(['umount', directory], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0 or not os.path.ismount(directory):
            return
        time.sleep(0.05)
    subprocess.run(['umount', '-l', directory], check=False)


def _drop_zram(journal, number):
    """What stays in use is left in the journal, for when all programs have ended."""
    for _ in range(100):
        try:
            worlds.write(f'/sys/block/zram{number}/reset', '1')
            worlds.write('/sys/class/zram-control/hot_remove', number)
        except FileNotFoundError:
            pass
        except OSError:
            time.sleep(0.05)
            continue
        journal.remove('zram', number)
        return


def _drop_loop(journal, device):
    if subprocess.run(['losetup', '-d', device], check=False).returncode == 0:
        journal.remove('loop', device)


# The peers

class Foldfs(Peer):
    """Ours: a mount in a cgroup of its own."""
    name = 'foldfs'
    title = 'foldfs lz4'
    mount_options = ''
    # Its workers' buffers for large requests go a second after the last of them.
    rest_s = 1.5

    def up(self):
        self.dir = f'{self.top}/mount'
        os.mkdir(self.dir)
        options = ','.join(w for w in (f'size={2 * self.size}', f'mem_limit={2 * self.size}',
                                       self.mount_options, self.options) if w)
        self.described = options
        self.process = self.daemon([self.world.foldfs, '-f', '-o', options, self.dir],
                                   lambda: os.path.ismount(self.dir),
                                   lambda: _unmount(self.dir))
        self.file = f'{self.dir}/file'

    def key(self, name):
        """The value of one of our keys, a number where it is one."""
        value = os.getxattr(f'{self.dir}/.foldfs', f'user.foldfs.{name}').decode()
        return int(value) if value.isdigit() else value

    def set_key(self, name, value):
        os.setxattr(f'{self.dir}/.foldfs', f'user.foldfs.{name}', str(value).encode())


class FoldfsZstd(Foldfs):
    name = 'foldfs-zstd'
    title = 'foldfs zstd:1'
    mount_options = 'compress=zstd:1'


class FoldfsWriteback(Foldfs):
    name = 'foldfs-writeback'
    title = 'foldfs lz4, cache=writeback'
    mount_options = 'cache=writeback'


class FoldfsUring(Foldfs):
    """Requests by io_uring, which the kernel allows for as long as it is up."""
    name = 'foldfs-uring'
    title = 'foldfs lz4, io_uring'
    mount_options = 'io_uring'

    def up(self):
        self.parameter(FUSE_URING, 'Y')
        super().up()
        if not self.key('io_uring'):
            raise CannotRun('requests do not come by io_uring here')
        self.described += f'; {os.path.basename(FUSE_URING)}=Y'


class FoldfsAlone(Foldfs):
    """Nobody to share a large request with."""
    name = 'foldfs-alone'
    title = 'foldfs lz4, one worker'
    mount_options = 'workers=1'


class FoldfsSpill(Foldfs):
    """What is stored goes to a file on a disk by spill(), and stays there."""
    name = 'foldfs-spill'
    title = 'foldfs lz4, spilled'

    def up(self):
        self.mount_options = f'spill={self.on_disk()}/backing'
        super().up()

    def order(self, what):
        """A command that has all of the file go `out` or come `in`."""
        return ['/usr/bin/python3', '-S', '-c', 'import os, sys; os.setxattr('
                'sys.argv[1], "user.foldfs.file.spill", sys.argv[2].encode())',
                self.file, what]

    def out(self):
        """How much of the file is on the disk, of 1. Pages of one repeated word
        have nothing that could go."""
        return self.key('spilled_pages') / (self.key('pages_stored') - self.key('same_pages'))

    def spill(self):
        """All of it out, and no page back; how much is out."""
        self.set_key('promote', 0)
        self.client(self.order('out'))
        return self.out()


class FoldfsSealed(FoldfsSpill):
    """The same, encrypted."""
    name = 'foldfs-sealed'
    title = 'foldfs lz4, spilled and encrypted'

    def up(self):
        self.options = ','.join(w for w in (self.options, 'spill_encrypt') if w)
        super().up()


class Disk(Peer):
    """A plain file on the disk that foldfs-spill has its backing file on."""
    name = 'disk'
    title = 'plain file on the same disk'

    def up(self):
        self.dir = self.on_disk()
        self.file = f'{self.dir}/plain'


class Tmpfs(Peer):
    name = 'tmpfs'
    title = 'tmpfs'

    def up(self):
        self.described = f'size={2 * self.size}'
        self.dir = self.mount('tmpfs', 'none', self.described)
        self.file = f'{self.dir}/file'


class Zram(Peer):
    """The device itself: no file system, no files."""
    name = 'zram'
    title = 'raw zram lz4'

    def up(self):
        self.described = 'lz4'
        self.file = self.zram(self.size)

    def own(self):
        return self.zram_own()


class Ext4Zram(Peer):
    name = 'ext4-zram'
    title = 'ext4 on zram lz4'
    programs = ('mkfs.ext4',)
    codec = 'lz4'
    # With a journal unless a case wants otherwise: without one a new file looks at
    # each inode that was removed in the last minutes, so runs would hinder the next.
    features = 'has_journal'

    def up(self):
        features = self.options or self.features
        self.described = f'{self.codec}; mkfs.ext4 -O {features} -m 0; discard,noatime'
        device = self.zram(2 * self.size, self.codec)
        self.call('mkfs.ext4', '-q', '-O', features, '-m', '0', device)
        self.dir = self.mount('ext4', device, 'discard,noatime')
        self.file = f'{self.dir}/file'

    def own(self):
        return self.zram_own()


class Ext4ZramZstd(Ext4Zram):
    name = 'ext4-zram-zstd'
    title = 'ext4 on zram zstd'
    codec = 'zstd'


class Btrfs(Peer):
    """btrfs on a loop device over a file on a tmpfs."""
    name = 'btrfs-zstd'
    title = 'btrfs zstd:1 on a tmpfs'
    programs = ('mkfs.btrfs',)
    compress = 'zstd:1'

    def up(self):
        self.described = f'compress={self.compress},noatime,discard; -d single -m single'
        self.image = f'{self.top}/image'
        with open(self.image, 'wb') as file:
            file.truncate(max(2 * self.size, 256 << 20))
        device = self.loop(self.image)
        self.call('mkfs.btrfs', '-q', '-d', 'single', '-m', 'single', device)
        self.dir = self.mount('btrfs', device, f'compress={self.compress},noatime,discard')
        self.file = f'{self.dir}/file'

    def own(self):
        return {'image': os.stat(self.image).st_blocks * 512}

    def memory(self, reclaim=False):
        """The image is counted by its own size, wherever it is charged."""
        parts = super().memory(reclaim)
        parts.pop('shmem', None)
        return parts


class BtrfsLzo(Btrfs):
    name = 'btrfs-lzo'
    title = 'btrfs lzo on a tmpfs'
    compress = 'lzo'


class Nbdkit(Peer):
    """One file, a FUSE mount of an NBD server in memory."""
    name = 'nbdkit'
    title = 'nbdkit memory zstd, nbdfuse'
    programs = ('nbdkit', 'nbdfuse')

    def up(self):
        directory = f'{self.top}/mount'
        os.mkdir(directory)
        self.described = 'memory allocator=zstd; nbdfuse --socket-activation'
        self.file = f'{directory}/nbd'
        self.daemon(['nbdfuse', directory, '--socket-activation', 'nbdkit', '-f', 'memory',
                     f'size={self.size}', 'allocator=zstd'],
                    lambda: os.path.ismount(directory), lambda: _unmount(directory))


class Empty(Peer):
    """A FUSE daemon that does nothing but copy: the limit of the road."""
    name = 'empty'
    title = 'empty FUSE daemon'
    arguments = ()

    def up(self):
        directory = f'{self.top}/mount'
        os.mkdir(directory)
        self.described = ' '.join(self.arguments) or 'reads /dev/fuse itself'
        self.file = f'{directory}/file'
        self.daemon([self.world.program('empty'), *self.arguments, str(self.size), directory],
                    lambda: os.path.ismount(directory), lambda: _unmount(directory))


class EmptyLibfuse(Empty):
    name = 'empty-libfuse'
    title = 'empty daemon, fuse_session_loop_mt'
    arguments = ('-l',)


ALL = {kind.name: kind for kind in (
    Foldfs, FoldfsZstd, FoldfsWriteback, Tmpfs, Zram, Ext4Zram, Ext4ZramZstd, Btrfs,
    BtrfsLzo, FoldfsUring, FoldfsAlone, FoldfsSpill, FoldfsSealed, Disk, Nbdkit, Empty,
    EmptyLibfuse)}


def make(name, world, size, options=''):
    """A peer to be used in a `with`."""
    return ALL[name](world, size, options)
