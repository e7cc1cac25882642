# SPDX-License-Identifier: GPL-2.0-or-later
"""RAM for the same files: everything that the kernel charges."""
import os
import shutil
import time

import data
import names
import tables
from case import Case, Metric, Target, Wrong

DAEMON = ('not the pool but what is beside it: the daemon takes some MiB, whatever it holds, and '
          'each file its records; the smaller the tree, the more that is of it')
CODEC = ('what the codec leaves of these bytes is nearly all of it: compare zram with the same '
         'codec, and foldfs with zstd')
CHUNKS = 'a table grows by whole chunks, and the last of each is not full'
HEADER = 8  # bytes before each object in the pool


class Memory(Case):
    """Files are copied once; then everything is added up that they take: the
    daemon whole, its pool and tables; page cache that stays, slabs; zram's pool
    and table; the image below btrfs."""
    peers = ('foldfs', 'tmpfs', 'ext4-zram', 'btrfs-lzo', 'foldfs-zstd', 'ext4-zram-zstd',
             'btrfs-zstd')
    # The level that zram has; nobody pays for a journal.
    options = {'foldfs-zstd': 'compress=zstd:3', 'ext4-zram': '^has_journal',
               'ext4-zram-zstd': '^has_journal'}
    rounds = 1
    metrics = [Metric('memory', 'B', 'low'), Metric('of its size', '', 'low'),
               Metric('tables and headers', 'B/page', 'low')]

    def __init__(self, bench):
        super().__init__(bench)
        self.targets = [
            Target(f'RAM for {self.what}: beside ext4 on zram, lz4', 'memory',
                   against='ext4-zram', at_most=1, reason=DAEMON),
            Target(f'RAM for {self.what}: beside ext4 on zram, zstd', 'memory',
                   ours='foldfs-zstd', against='ext4-zram-zstd', at_most=1, reason=DAEMON),
            Target(f'RAM for {self.what}: beside a tmpfs', 'memory', against='tmpfs',
                   at_most=0.45, reason=CODEC),
            Target(f'RAM for {self.what}: beside a tmpfs, with zstd', 'memory',
                   ours='foldfs-zstd', against='tmpfs', at_most=0.45, reason=CODEC)]
        if bench.quick:
            self.peers = tuple(p for p in self.peers if not p.startswith('btrfs'))
        # Not much more than is needed: a device's table is as long as the device.
        self.size = self.mib(bench.quick) * 5 // 4 << 20
        self.budget = 12 if bench.quick else 60

    def begin(self):
        self.source = f'{self.bench.scratch}/source'
        os.mkdir(self.source)
        self.fill(self.source)
        self.sums = data.digests(self.source)
        self.bytes = sum(size for size, _, _ in self.sums.values())

    def end(self):
        shutil.rmtree(self.source)

    def prepare(self, peer):
        peer.empty_tables = tables.taken(peer)
        peer.client(['cp', '-a', self.source, f'{peer.dir}/copy'])

    def run(self, peer, step):
        data.forget(f'{peer.dir}/copy')
        names.forget()
        time.sleep(peer.rest_s)
        parts = peer.memory(reclaim=True)
        peer.parts = parts
        values = {'memory': sum(parts.values()), 'of its size': sum(parts.values()) / self.bytes}
        if hasattr(peer, 'key'):
            pages = peer.key('pages_stored')
            values['tables and headers'] = (
                (tables.taken(peer) - peer.empty_tables) / pages
                + HEADER * (pages - peer.key('same_pages')) / pages)
        return values

    def verify(self, peer):
        if data.digests(f'{peer.dir}/copy') != self.sums:
            raise Wrong(f'{peer.name}: the files are not what they were')

    def extra(self, peer):
        keys = ('orig_data_size', 'compr_data_size', 'mem_used_total', 'pool_total_size',
                'pool_slot_bytes', 'table_bytes', 'heap_bytes', 'pages_stored', 'same_pages',
                'huge_pages', 'inodes_used')
        return {'parts': peer.parts,
                'keys': {k: peer.key(k) for k in keys} if hasattr(peer, 'key') else {}}


class Files(Memory):
    name = 'memory-files'
    title = 'RAM for a tree of files of /usr'
    what = 'a tree of files'

    @staticmethod
    def mib(quick):
        return 120 if quick else 300

    def fill(self, directory):
        archive = f'{self.bench.scratch}/source.tar'
        data.pack(data.tree(self.mib(self.bench.quick)), archive)
        shutil.unpack_archive(archive, directory)
        os.unlink(archive)


class Images(Memory):
    name = 'memory-images'
    title = 'RAM for images of processes, libraries, text, compressed files'
    what = 'large files'

    def __init__(self, bench):
        super().__init__(bench)
        self.targets.append(Target('large files: entries and headers, bytes a page',
                                   'tables and headers', at_most=20, reason=CHUNKS))

    @staticmethod
    def mib(quick):
        return 128 if quick else 256

    def fill(self, directory):
        for number in range(self.mib(self.bench.quick) // 64):
            shutil.copy(f'{self.bench.data}/mixed', f'{directory}/mixed-{number}')


def cases(bench):
    yield Files(bench)
    yield Images(bench)
