# SPDX-License-Identifier: GPL-2.0-or-later
"""All of a file to the disk and back by hand: what encryption costs of that."""
import subprocess

from case import CannotRun, Case, Metric, Target, Wrong

OUT, IN = 'write-back', 'fetch'


class Sealed(Case):
    """Throughput counts what the file holds, not what it is compressed to."""
    name = 'sealed'
    title = 'a file written back and fetched, encrypted and plain'
    peers = ('foldfs-sealed', 'foldfs-spill')
    steps = (OUT, IN)
    metrics = [Metric('speed', 'MiB/s', 'high')]
    targets = [Target(f'{step}, encrypted beside plain', 'speed', step, ours='foldfs-sealed',
                      against='foldfs-spill', at_least=0.8,
                      reason='this disk is as fast as memory: the cipher, on the same CPUs as '
                      'the codec and the copies, is what is left to wait for')
               for step in (OUT, IN)]

    def __init__(self, bench):
        super().__init__(bench)
        self.budget = 8 if bench.quick else 60

    def begin(self):
        self.source = f'{self.bench.data}/mixed'
        self.bytes = self.bench.manifest['pieces']['mixed']['bytes']

    def prepare(self, peer):
        peer.client(['dd', f'if={self.source}', f'of={peer.file}', 'bs=1M', 'conv=fsync',
                     'status=none'])
        peer.client(peer.order('out'))
        if peer.out() < 0.99:
            raise CannotRun(f'only {100 * peer.out():.0f} % of the pages went to the disk')

    def before(self, peer, step):
        peer.client(peer.order('in' if step == OUT else 'out'))

    def run(self, peer, step):
        seconds = peer.timed(peer.order('out' if step == OUT else 'in')).seconds
        return {'speed': self.bytes / seconds / 2**20}

    def verify(self, peer):
        peer.client(peer.order('out'))
        peer.forget()
        if subprocess.run(['cmp', '-n', str(self.bytes), self.source, peer.file],
                          check=False).returncode:
            raise Wrong(f'{peer.name}: what came back is not what went out')


def cases(bench):
    yield Sealed(bench)
