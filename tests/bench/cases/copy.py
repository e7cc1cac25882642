# SPDX-License-Identifier: GPL-2.0-or-later
"""One file of real bytes, written and read by dd in requests of 1 MiB."""
import subprocess

from case import Case, Metric, Wrong


class Copy(Case):
    """The smallest case there is, and so the example to begin with."""
    name = 'copy'
    title = 'dd of real bytes, 1 MiB requests through the page cache, fsync'
    peers = ('foldfs', 'tmpfs', 'ext4-zram', 'btrfs-lzo', 'nbdkit', 'empty')
    steps = ('write', 'read')
    metrics = [Metric('speed', 'MiB/s', 'high')]
    budget = 15

    def begin(self):
        self.source = f'{self.bench.data}/mixed'
        self.bytes = self.bench.manifest['pieces']['mixed']['bytes']

    def before(self, peer, step):
        if step == 'read':
            peer.forget()

    def run(self, peer, step):
        if step == 'write':
            argv = ['dd', f'if={self.source}', f'of={peer.file}', 'conv=notrunc,fsync']
        else:
            argv = ['dd', f'if={peer.file}', 'of=/dev/null', 'iflag=count_bytes',
                    f'count={self.bytes}']
        seconds = peer.timed(argv + ['bs=1M', 'status=none']).seconds
        return {'speed': self.bytes / seconds / 2**20}

    def verify(self, peer):
        peer.forget()
        if subprocess.run(['cmp', '-n', str(self.bytes), self.source, peer.file],
                          check=False).returncode:
            raise Wrong(f'{peer.name}: the file is not what was copied')


def cases(bench):
    if not bench.quick:
        yield Copy(bench)
