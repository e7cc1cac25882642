# SPDX-License-Identifier: GPL-2.0-or-later
"""An hour of overwriting: what it does to speed and to memory."""
import os
import shutil
import time

import peer as peers
from case import Case, Metric, Target


class Fresh(peers.Foldfs):
    """A second mount of ours, filled anew before each run."""
    name = 'foldfs-fresh'
    title = 'foldfs, filled just now'


peers.ALL[Fresh.name] = Fresh


class Churn(Case):
    """`churn` overwrites runs of pages of a file anywhere and punches holes, for
    an hour (some seconds in the quick form), with data whose size in the pool
    drifts. Then the file is measured beside one of the same size that has just
    been written: runs of both alternate, so neither the machine's mood
    nor an hour between two measurements tells in the ratio."""
    name = 'churn'
    title = 'a file overwritten for long, beside one written just now'
    peers = ('foldfs', Fresh.name)
    steps = ('write', 'read')
    metrics = [Metric('speed', 'MiB/s', 'high'), Metric('fragmentation', '%', 'low'),
               Metric('RAM', 'B', 'low')]
    targets = [
        Target('after churn: write speed beside fresh', 'speed', 'write',
               against=Fresh.name, at_least=0.9,
               reason='nearly full spans are searched longer, and compaction works beside'),
        Target('after churn: read speed beside fresh', 'speed', 'read',
               against=Fresh.name, at_least=0.9,
               reason='pages that are read one after the other lie apart in the pool'),
        Target('after churn: fragmentation, percent of the pool', 'fragmentation', 'read',
               at_most=8, reason='a span that is nearly full is not worth moving'),
        Target('in the middle of churn: fragmentation, percent of the pool', 'fragmentation',
               'write', at_most=8,
               reason='compaction comes at most several times a second; a file that is '
               'overwritten several times between two passes is ahead of it')]

    def __init__(self, bench):
        super().__init__(bench)
        self.seconds = 8 if bench.quick else bench.a.seconds or 3600
        self.mib = 96 if bench.quick else 1024
        self.size = self.mib << 20
        self.budget = self.seconds + (12 if bench.quick else 60)

    def begin(self):
        self.program = self.bench.program('churn')
        self.content = f'{self.bench.data}/mixed'
        self.seed = 0
        self.samples = {}

    def end(self):
        for name in os.listdir(self.bench.scratch):
            if name.startswith('churn-'):
                os.unlink(f'{self.bench.scratch}/{name}')

    def churn(self, peer, mode, mib=0):
        """One call of the program; its seconds."""
        self.seed += 1
        done = peer.timed([self.program, mode, peer.file, self.content,
                           self._state(peer.name), str(self.mib << 8),
                           str(mib), str(self.seed)])
        return float(done.stdout)

    def _state(self, peer_name):
        return f'{self.bench.scratch}/churn-{peer_name}'

    @staticmethod
    def fragmentation(peer):
        """Percent of the pool's memory that holds no compressed byte: headers,
        rounding, holes between objects, pages nobody could give back."""
        return 100 - 100 * peer.key('compr_data_size') / max(peer.key('pool_total_size'), 1)

    def prepare(self, peer):
        if peer.name == Fresh.name:
            return
        self.churn(peer, 'fill')
        samples = {'seconds': [], 'write MiB/s': [], 'RAM MiB': [], 'fragmentation %': []}
        start = time.monotonic()
        while time.monotonic() - start < self.seconds:
            took = self.churn(peer, 'write', self.mib // 2)
            samples['seconds'].append(round(time.monotonic() - start, 1))
            samples['write MiB/s'].append(round(self.mib // 2 / took, 1))
            samples['RAM MiB'].append(round(peer.key('mem_used_total') / 2**20, 1))
            samples['fragmentation %'].append(round(self.fragmentation(peer), 2))
        self.samples = thinned(samples)

    def before(self, peer, step):
        """The fresh one gets the pages that the old one has now."""
        if peer.name == Fresh.name:
            if os.path.exists(peer.file):
                os.unlink(peer.file)
            shutil.copy(self._state('foldfs'), self._state(Fresh.name))
            self.churn(peer, 'again')

    def run(self, peer, step):
        took = self.churn(peer, step, self.mib)
        return {'speed': self.mib / took, 'fragmentation': self.fragmentation(peer),
                'RAM': peer.key('mem_used_total')}

    def verify(self, peer):
        self.churn(peer, 'check')

    def extra(self, peer):
        return {} if peer.name == Fresh.name else {'over time': self.samples}


def thinned(samples, most=240):
    """At most so many of each, evenly."""
    step = len(samples['seconds']) // most + 1
    return {name: values[::step] for name, values in samples.items()}


def cases(bench):
    yield Churn(bench)
