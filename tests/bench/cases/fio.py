# SPDX-License-Identifier: GPL-2.0-or-later
"""fio on one large file or device: sizes, depths, direct and buffered.

Reads are of real bytes, which are compared with the source in the end. Writes are
fio's own bytes, of which a codec can take 60 % (its buffers cannot hold ours); what
they leave is overwritten once more with checksums in each block, and read back.
One client thread, so that a device compresses on its CPU and a daemon on others.
"""
import json
import os
import subprocess

from case import CannotRun, Case, Metric, Target, Wrong

UNITS = {'K': 1 << 10, 'M': 1 << 20}
SYNTHETIC = ['--buffer_compress_percentage=60', '--buffer_compress_chunk=4096',
             '--refill_buffers']
FILLED = ['--buffer_pattern=0x5a3c5a3c']
KINDS = {'randread': 'random read', 'read': 'read', 'randwrite': 'random write',
         'write': 'write', 'randrw': 'random 70/30', 'rw': '70/30'}
VERIFIED = 16 << 20
OURS = ('foldfs', 'foldfs-uring')
# Why a target is missed, where that is known; printed if it is.
AT_1 = 'a request wakes the daemon, its reply the client; zram works in the client'
AT_16 = ('client and daemon share the CPUs, and each request passes the kernel on both sides; '
         'zram has no daemon')
LARGE = ('all CPUs are full, most of it with the codec and with what the kernel copies '
         'between daemon and client; zram copies nothing for that')
OF_A_DISK = ('a file system in the kernel asks the disk at once; here a request passes the '
             'kernel on both sides first, and the page is decoded')
WAKING = ('a request wakes the daemon, its reply the client: that is most of the time '
          'even when there is nothing to decode or to store')
OF_THE_ROAD = ('the road is all that an empty daemon has; here the page is looked up, locked and '
               'changed besides')


def label(size, rw, depth):
    return f'{size} {KINDS[rw]}, depth {depth}'


def steps(sizes, kinds, depths):
    """{label: (size, rw, depth)}"""
    return {label(s, rw, d): (s, rw, d) for s in sizes for rw in kinds for d in depths}


class Fio(Case):
    """What all of them share."""
    programs = ('fio',)
    metrics = [Metric('speed', 'MiB/s', 'high')]
    direct = True
    bytes_of = SYNTHETIC
    reads = False

    def __init__(self, bench, cells):
        super().__init__(bench)
        self.cells = cells
        self.steps = list(cells)
        self.size = (128 << 20) if bench.quick else (1 << 30)
        self.budget = len(cells) * len(self.peers) * (2.5 if bench.quick else 12)

    def begin(self):
        """Real bytes, again and again up to the size."""
        self.source = f'{self.bench.scratch}/fio-source'
        with open(f'{self.bench.data}/mixed', 'rb') as file, open(self.source, 'wb') as out:
            while out.tell() < self.size:
                file.seek(0)
                while chunk := file.read(1 << 20):
                    out.write(chunk)
            out.truncate(self.size)

    def end(self):
        subprocess.run(['rm', '-f', self.source], check=True)

    def prepare(self, peer):
        peer.client(['dd', f'if={self.source}', f'of={peer.file}', 'bs=1M', 'conv=notrunc,fsync',
                     'status=none'])

    def skip(self, peer, step):
        return peer.name in ('nbdkit', 'foldfs-uring') and self.cells[step][0] != '4K'

    def command(self, peer, size, rw, depth, more, span=0):
        return ['fio', '--name=bench', f'--filename={peer.file}', f'--rw={rw}',
                f'--bs={int(size[:-1]) * UNITS[size[-1]]}', f'--size={span or self.size}',
                f'--direct={int(self.direct)}', '--ioengine=io_uring', f'--iodepth={depth}',
                '--rwmixread=70', '--randrepeat=0', '--group_reporting',
                '--output-format=json', '--fallocate=none', *more]

    def limits(self, rw):
        """When a run ends."""
        return ['--norandommap', '--time_based', f'--runtime={1000 * self.bench.seconds:.0f}ms']

    def run(self, peer, step):
        size, rw, depth = self.cells[step]
        # A client that only reads must not spend its time on making bytes.
        bytes_of = [] if 'read' in rw else self.bytes_of
        out = peer.timed(self.command(peer, size, rw, depth, bytes_of + self.limits(rw)))
        job = json.loads(out.stdout[out.stdout.index('{'):])['jobs'][0]
        return {'speed': (job['read']['bw_bytes'] + job['write']['bw_bytes']) / 2**20}

    def verify(self, peer):
        if self.reads:
            peer.forget()
            if subprocess.run(['cmp', '-n', str(self.size), self.source, peer.file],
                              check=False).returncode:
                raise Wrong(f'{peer.name}: what was read is not what was written')
            return
        for number, size in enumerate(('4K', '128K', '1M')):
            # What was not written past the page cache is compared by a second job, the
            # same, when the cache has forgotten it: it would be read from there.
            for half in ('--do_verify=1',) if self.direct else ('--do_verify=0', '--verify_only'):
                out = subprocess.run(self.command(peer, size, 'randwrite', 16, [
                    *self.bytes_of, '--verify=crc32c', '--verify_fatal=1', half, '--randrepeat=1',
                    '--verify_state_save=0', f'--offset={number * VERIFIED}'], VERIFIED),
                    check=False, capture_output=True, text=True)
                if out.returncode:
                    raise Wrong(f'{peer.name}: fio verify, {size}: {out.stderr[-300:].strip()}')
                peer.forget()


class Read(Fio):
    name = 'fio-read'
    title = 'fio, direct reads of real bytes'
    peers = (*OURS, 'zram', 'nbdkit')
    reads = True


class Write(Fio):
    name = 'fio-write'
    title = 'fio, direct writes'
    peers = (*OURS, 'zram', 'nbdkit')


class Mixed(Fio):
    name = 'fio-mixed'
    title = 'fio, direct reads and writes, 70 to 30'
    peers = (*OURS, 'zram', 'nbdkit')


class Fill(Fio):
    """Pages of one repeated word take no codec and no memory: what is left is the
    road, and that is what an empty daemon has. It reads /dev/fuse, so ours does."""
    name = 'fio-fill'
    title = 'fio, direct, pages of one repeated word, beside an empty daemon'
    peers = ('foldfs', 'empty', 'empty-libfuse')
    bytes_of = FILLED

    def begin(self):
        self.source = '/dev/null'

    def end(self):
        pass

    def prepare(self, peer):
        peer.client(self.command(peer, '1M', 'write', 4, FILLED))


class Buffered(Fio):
    """Through the page cache, which is empty before each run; a pass over a part
    of the file, with fsync behind writes."""
    name = 'fio-buffered'
    title = 'fio through an empty page cache, fsync after writes'
    peers = ('foldfs', 'foldfs-writeback', 'tmpfs', 'ext4-zram', 'btrfs-zstd', 'btrfs-lzo')
    direct = False

    def __init__(self, bench, cells):
        if bench.quick:
            self.peers = ('foldfs', 'tmpfs', 'ext4-zram')
        super().__init__(bench, cells)
        self.part = (8 << 20) if bench.quick else (256 << 20)

    def skip(self, peer, step):
        return False

    def limits(self, rw):
        return [f'--io_size={self.part}', '--end_fsync=1', '--invalidate=1']


class Share(Fio):
    """One stream that waits for each request: what workers gain who share it."""
    name = 'share'
    title = 'fio, one stream of large requests, depth 1, beside one worker alone'
    peers = ('foldfs', 'foldfs-alone')
    options = {'foldfs': f'workers={len(os.sched_getaffinity(0))}'}


class Spilled(Fio):
    """Pages that are in the backing file only, beside a plain file there."""
    name = 'spilled'
    title = 'fio, direct reads of spilled pages, beside a plain file on that disk'
    peers = ('foldfs-spill', 'disk')
    reads = True

    def prepare(self, peer):
        super().prepare(peer)
        if peer.name == 'foldfs-spill':
            share = peer.spill()
            if share < 0.99:
                raise CannotRun(f'only {100 * share:.0f} % of the pages went to the disk')


def compared(size, rw, depth, against, least, reason, ours='foldfs'):
    """How fast it should be beside another."""
    what = f'{label(size, rw, depth)}, beside {against}'
    return Target(what, 'speed', label(size, rw, depth), ours=ours, against=against,
                  at_least=least, reason=reason)


def targets(rw):
    """Beside zram and nbdkit."""
    return [compared('4K', rw, 1, 'zram', 1.0, AT_1, OURS),
            compared('4K', rw, 16, 'zram', 0.95, AT_16, OURS),
            compared('128K', rw, 16, 'zram', 2.0, LARGE),
            compared('1M', rw, 16, 'zram', 2.0, LARGE),
            compared('4K', rw, 1, 'nbdkit', 10.0, WAKING, OURS),
            compared('4K', rw, 16, 'nbdkit', 10.0, WAKING, OURS)]


def cases(bench):
    sizes, depths = ('4K', '16K', '128K', '1M'), (1, 4, 16, 64)
    some = {'4K': (1, 16), '128K': (16,), '1M': (16,)}

    def cells(*kinds):
        if not bench.quick:
            return steps(sizes, kinds, depths)
        return {k: v for s, d in some.items() for k, v in steps([s], kinds[:1], d).items()}

    for kind, rws in ((Read, ('randread', 'read')), (Write, ('randwrite', 'write'))):
        case = kind(bench, cells(*rws))
        case.targets = targets(rws[0])
        yield case
    if not bench.quick:
        yield Mixed(bench, steps(sizes, ('randrw', 'rw'), depths))
    fill = Fill(bench, steps(['4K'], ['randread', 'randwrite'], [16]) if bench.quick
                else steps(['4K', '128K', '1M'], ['randread', 'randwrite'], [1, 16]))
    fill.targets = [compared('4K', rw, 16, 'empty', 0.9, OF_THE_ROAD)
                    for rw in ('randread', 'randwrite')]
    yield fill
    yield Buffered(bench, steps(['4K'], ['randwrite'], [1]) | steps(['128K'], ['read'], [1])
                   if bench.quick else steps(sizes, ['randread', 'read', 'randwrite', 'write'],
                                             [1, 16]))
    if not bench.quick:
        yield Share(bench, steps(['256K', '1M'], ['write', 'read'], [1]))
    spilled = Spilled(bench, steps(['4K'] if bench.quick else ['4K', '128K'], ['randread'],
                                   [1, 16]))
    spilled.targets = [
        Target(f'{label("4K", "randread", depth)}, spilled, beside a plain file', 'speed',
               label('4K', 'randread', depth), ours='foldfs-spill', against='disk', at_least=0.7,
               reason=OF_A_DISK)
        for depth in (1, 16)]
    yield spilled
