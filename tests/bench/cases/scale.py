# SPDX-License-Identifier: GPL-2.0-or-later
"""What more workers bring, and what large files cost."""
import contextlib
import os
import shlex
import sys
import time

import tables
from case import Case, Metric, Target

CHEAP = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                     'lib', 'cheap.py')
CLIENTS = 4


class Workers(Case):
    """Four clients overwrite, and read, runs of 1 to 16 pages, each in a file of
    its own; every page read is compared."""
    name = 'scale-workers'
    title = 'four clients at once, served by 1 to 8 workers'
    counts = (1, 2, 4, 8)
    steps = [f'{n} workers' for n in counts]
    metrics = [Metric('write', 'MiB/s', 'high'), Metric('read', 'MiB/s', 'high')]

    def __init__(self, bench):
        super().__init__(bench)
        self.mib = 32 if bench.quick else 256  # of each file, and of each run
        self.size = CLIENTS * self.mib << 20
        self.rounds = 3 if bench.quick else None
        self.budget = 10 if bench.quick else 60

    def begin(self):
        self.program = self.bench.program('churn')
        self.content = f'{self.bench.data}/mixed'
        self.seed = 0

    def _all(self, peer, mode):
        """The clients, each with its file; an error of any is one of all."""
        self.seed += 1
        lines = [shlex.join([self.program, mode, f'{peer.dir}/file-{i}', self.content,
                             f'{self.bench.scratch}/scale-{i}', str(self.mib << 8),
                             str(self.mib), str(self.seed * CLIENTS + i)]) + ' & P="$P $!"'
                 for i in range(CLIENTS)]
        script = 'P=\n' + '\n'.join(lines) + '\nfor p in $P; do wait $p || exit 1; done'
        return CLIENTS * self.mib / peer.timed(['sh', '-ec', script]).seconds

    def prepare(self, peer):
        self._all(peer, 'fill')

    def before(self, peer, step):
        peer.set_key('workers', int(step.split()[0]))

    def run(self, peer, step):
        return {'write': self._all(peer, 'write'), 'read': self._all(peer, 'read')}

    def verify(self, peer):
        self._all(peer, 'check')

    def end(self):
        for i in range(CLIENTS):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f'{self.bench.scratch}/scale-{i}')


class Size(Case):
    """Files of pages that take no object, so that what they cost are tables:
    whole ones, and one in which every 16th MiB is there."""
    name = 'scale-size'
    title = 'the cost of tables for large files of cheap pages'
    metrics = [Metric('tables', 'B/page', 'low'), Metric('speed', 'MiB/s', 'high')]
    rounds = 1

    def __init__(self, bench):
        super().__init__(bench)
        self.gib = (1, 4) if bench.quick else (1, 4, 16, 64)
        self.files = {f'{n} GiB': (n << 10, 1) for n in self.gib}
        self.files[f'{self.gib[-1] * 16} GiB, sparse'] = (self.gib[-1] << 14, 16)
        self.steps = list(self.files)
        self.size = self.gib[-1] << 30
        self.options = {'foldfs': 'mem_limit=2g'}
        self.targets = [Target(f'tables of {step}, bytes a page', 'tables', step, at_most=20,
                               reason='a table grows by whole chunks')
                        for step in self.steps]
        self.budget = 10 if bench.quick else 120

    def prepare(self, peer):
        self.empty = tables.taken(peer)

    def before(self, peer, step):
        """Unlinked pages go in the background; the clock starts without them."""
        if os.path.exists(peer.file):
            os.unlink(peer.file)
        deadline = time.monotonic() + 60
        while peer.key('pages_stored') and time.monotonic() < deadline:
            time.sleep(0.05)

    def _cheap(self, peer, mode, step):
        mib, stride = self.files[step]
        return mib / stride / peer.timed([sys.executable, '-S', CHEAP, mode, peer.file,
                                          str(mib), str(stride)]).seconds

    def run(self, peer, step):
        speed = self._cheap(peer, 'write', step)
        taken = tables.taken(peer) - self.empty
        self._cheap(peer, 'check', step)
        return {'tables': taken / max(peer.key('pages_stored'), 1), 'speed': speed}


def cases(bench):
    yield Workers(bench)
    yield Size(bench)
