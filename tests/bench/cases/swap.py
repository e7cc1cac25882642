# SPDX-License-Identifier: GPL-2.0-or-later
"""Swap: the same eater of memory on each device, and what its pages take."""
import contextlib
import json
import os
import re
import subprocess
import sys
import threading

import peer as peers
import world as worlds
from case import CannotRun, Case, Metric, Target, Wrong

# Behind ours, for some modules there have the same names.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../fuse/lib'))
import swapping  # noqa: E402

PAGE = 4096
NUDGE_S = 0.01
CLUSTER = '/proc/sys/vm/page-cluster'
ZSWAP = '/sys/module/zswap/parameters'
OURS = ('foldfs', 'foldfs-uring')
# Why a target is missed; printed if it is.
TO_A_DAEMON = 'each page passes a loop device and a daemon; zram works in who swaps'
WAKE_UPS = ('three wake-ups a fault: the loop device, its worker, ours; a halted CPU takes '
            'its time to wake')
DECODING = 'the empty daemon has nothing to look up and to decode'
# A fault brings its page and no neighbours, as it does from zram in any case.
ALONE = 'time, page-cluster 0'


class EmptySwap(peers.Empty):
    """The road alone, as a swap file wants it."""
    name = 'empty-direct'
    title = 'empty FUSE daemon, direct I/O'
    arguments = ('-d',)


class Zswap(peers.Peer):
    """Compressed by the kernel before a swap file on a disk, which gets nothing as
    long as the pool has room; and it has: a part of all RAM."""
    name = 'zswap'
    title = 'zswap lzo before a swap file'

    def up(self):
        self.parameter(f'{ZSWAP}/compressor', 'lzo')
        self.described = 'lzo, a swap file on the disk'
        self.file = f'{self.on_disk()}/swap'
        with open(self.file, 'xb') as file:
            os.posix_fallocate(file.fileno(), 0, self.size)

    def own(self):
        with open('/proc/meminfo', encoding='ascii') as file:
            pool = int(re.search(r'^Zswap: *(\d+)', file.read(), re.M)[1]) << 10
        return {'zswap pool': pool, 'zswap entries': peers.slabs('zswap_entry ')}


for kind in (EmptySwap, Zswap):
    peers.ALL[kind.name] = kind


def forgo():
    """What our profile cannot have without CAP_SYS_RESOURCE."""
    with open('/proc/self/status', encoding='ascii') as file:
        mask = int(re.search(r'CapEff:\s*(\w+)', file.read())[1], 16)
    return '' if mask >> 24 & 1 else ',forgo=io_flusher+oom'


class Swap(Case):
    """`eater --measure` with a quarter of its memory in RAM: it fills all, has it
    swapped out, walks through it, has it out again, jumps about in it."""
    name = 'swap'
    title = 'an eater of memory with a quarter of it in RAM: time for each page'
    peers = (*OURS, 'zram', Zswap.name, EmptySwap.name)
    steps = ('time', ALONE, 'memory')
    metrics = [Metric('out', 'us/page', 'low'), Metric('walk', 'us/page', 'low'),
               Metric('jump', 'us/page', 'low'), Metric('memory', 'MiB', 'low')]
    targets = [
        Target('swap-out, time beside zram lz4', 'out', 'time', ours=OURS, against='zram',
               at_most=1, reason=TO_A_DAEMON),
        Target('sequential swap-in, time beside zram lz4', 'walk', 'time', ours=OURS,
               against='zram', at_most=2, reason=WAKE_UPS),
        Target('random swap-in, time beside an empty FUSE daemon', 'jump', 'time',
               against=EmptySwap.name, at_most=1.15, reason=DECODING),
        Target('the same, no neighbours read', 'jump', ALONE, against=EmptySwap.name,
               at_most=1.15, reason=DECODING),
        Target('memory of swapped pages beside zram and its table', 'memory', 'memory',
               against='zram', at_most=1,
               reason='the pool is as large as zram\'s; headers and tables beside it, and spans '
               'that are not full when pages come and go')]

    def __init__(self, bench):
        super().__init__(bench)
        self.mib = 48 if bench.quick else 256
        self.size = 2 * self.mib << 20
        self.budget = 38 if bench.quick else 90
        self.options = dict.fromkeys(OURS, 'profile=swap' + forgo())

    def why_not(self):
        return swapping.why_not()

    def begin(self):
        self.program = self.bench.program('swap/eater')
        self.devices, self.base = {}, {}

    def prepare(self, peer):
        journal = peer.world.journal
        path = peer.file
        peer.swapon = ['swapon', '-p', str(swapping.PRIORITY)]
        if peer.name != Zswap.name:
            path = self.device(peer, path)
            peer.swapon.append('--discard')
            peer.described += '; swapon --discard'
        peer.call('mkswap', path)
        # Of its own: only who eats is short of memory, not the daemon.
        peer.eater_group = swapping.Group(peer.world.directory, self.mib << 18)
        journal.add('cgroup', peer.eater_group.path)
        peer.stack.callback(journal.remove, 'cgroup', peer.eater_group.path)
        peer.stack.callback(peer.eater_group.remove)
        peer.nudges = 0
        self.devices[peer.name] = path
        # What is there with no page in it, but the table for these pages.
        self.base[peer.name] = self.taken(peer)
        if peer.name == 'zram':
            self.base[peer.name] -= (self.mib << 8) * peers.ZRAM_ENTRY

    def device(self, peer, path):
        """The block device itself, or one on the file."""
        if not path.startswith('/dev/'):
            if not os.path.exists(path):
                with open(path, 'xb') as file:
                    file.truncate(self.size)
            path = peer.loop(path, direct=True)
        with open(f'/sys/block/{path[5:]}/size', encoding='ascii') as file:
            if int(file.read()) * 512 < self.size:
                raise CannotRun(f'{path} is too small')
        return path

    def skip(self, peer, step):
        """Only what is asked of it: the quick form has no time."""
        if step == 'memory':
            return peer.name not in ('foldfs', 'zram', Zswap.name)
        return step == ALONE and self.bench.quick and peer.name not in (
            'foldfs', EmptySwap.name)

    def run(self, peer, step):
        device = self.devices[peer.name]
        journal = peer.world.journal
        with self.settings(peer, step):
            journal.add('swap', device)
            peer.call(*peer.swapon, device)
            try:
                if step == 'memory':
                    return {'memory': (self.held(peer) - self.base[peer.name]) / 2**20}
                with self.nudging(peer):
                    return self.times(peer)
            finally:
                peer.call('swapoff', device)
                journal.remove('swap', device)

    @staticmethod
    @contextlib.contextmanager
    def setting(peer, path, value):
        """A setting of the kernel for one run; where there is none, nothing is set."""
        try:
            with open(path, encoding='ascii') as file:
                usual = file.read().strip()
        except FileNotFoundError:
            usual = value
        if usual == value:
            yield
            return
        peer.world.journal.add('file', f'{path}={usual}')
        worlds.write(path, value)
        try:
            yield
        finally:
            worlds.write(path, usual)
            peer.world.journal.remove('file', f'{path}={usual}')

    def settings(self, peer, step):
        """How many neighbours a fault brings: the machine's setting, or none. And
        zswap is before its own file only, wherever the machine has it."""
        stack = contextlib.ExitStack()
        stack.enter_context(self.setting(
            peer, f'{ZSWAP}/enabled', 'Y' if peer.name == Zswap.name else 'N'))
        if step == ALONE:
            stack.enter_context(self.setting(peer, CLUSTER, '0'))
        return stack

    @staticmethod
    @contextlib.contextmanager
    def nudging(peer):
        """The kernel gives up early on a small group; that is counted, no more."""
        over = threading.Event()

        def nudge():
            while not over.wait(NUDGE_S):
                peer.nudges += peer.eater_group.nudge()

        thread = threading.Thread(target=nudge)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def words(self, peer):
        """The eater's command line; it enters its own group."""
        return ['sh', '-c', 'echo 0 >"$0" && exec "$@"',
                f'{peer.eater_group.path}/cgroup.procs', self.program, '--mib', str(self.mib),
                '--threads', '1', '--seed', '7', '--measure']

    def times(self, peer):
        text = peer.timed(self.words(peer)).stdout
        told = dict(re.findall(r'^(\w+) ([\d.]+)$', text, re.M))
        if told.get('bad') != '0':
            raise Wrong(f'{peer.name}: {text}')
        pages = self.mib << 8
        us = {k: float(told[f'{k}_s']) * 1e6 for k in ('fill', 'out', 'walk', 'jump')}
        return {'out': (us['fill'] + us['out']) / pages, 'walk': us['walk'] / pages,
                'jump': us['jump'] / (pages // 2)}

    def held(self, peer):
        """What all its pages take, when all are out."""
        with self.nudging(peer), \
                subprocess.Popen(self.words(peer) + ['--hold'], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True,
                                 preexec_fn=worlds.die_with_parent) as process:
            for line in process.stdout:
                if line.startswith('held'):
                    break
            taken = self.taken(peer)
            process.stdin.close()
            process.stdout.read()
        if process.returncode:
            raise Wrong(f'{peer.name}: the eater ended with {process.returncode}')
        return taken

    @staticmethod
    def taken(peer):
        """Bytes of RAM by the peer's own numbers."""
        if peer.name == 'zram':
            return peer.own()['zram pool']
        if peer.name == Zswap.name:
            return sum(peer.own().values())
        if peer.name in OURS:
            return peer.key('mem_used_total')
        return sum(peer.memory().values())

    def extra(self, peer):
        with open(CLUSTER, encoding='ascii') as file:
            return {'page-cluster': json.loads(file.read()), 'nudges': peer.nudges}


def cases(bench):
    yield Swap(bench)
