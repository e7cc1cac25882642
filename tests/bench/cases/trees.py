# SPDX-License-Identifier: GPL-2.0-or-later
"""A tree of real files: copied, unpacked, read, removed."""
import os
import shlex
import shutil
import subprocess

import data
import passthrough
from case import Case, Metric, Target, Wrong

ROUND_TRIPS = ('small files: each is several requests to a daemon, and each of these two switches '
               'between processes')


class Trees(Case):
    """cp -a, tar -x, cat of everything, rm -r. What writes ends with a sync of
    its file system, so that all peers hold the files where they keep them, and
    none has put the work off."""
    name = 'trees'
    title = 'a tree of files of /usr: cp -a, untar, read all of it, rm -r'
    peers = ('foldfs', 'tmpfs', 'ext4-zram', 'btrfs-zstd', passthrough.Passthrough.name)
    steps = ('cp -a', 'untar', 'read', 'rm -r')
    metrics = [Metric('time', 's', 'low')]
    targets = [Target(f'{step}: time beside ext4 on zram', 'time', step, against='ext4-zram',
                      at_most=1, reason=ROUND_TRIPS) for step in ('cp -a', 'untar')]

    def __init__(self, bench):
        super().__init__(bench)
        if bench.quick:
            self.peers = tuple(p for p in self.peers if p != 'btrfs-zstd')
        self.mib = 10 if bench.quick else 200
        self.size = (256 if bench.quick else 1024) << 20
        self.budget = 20 if bench.quick else 150

    def begin(self):
        self.archive = f'{self.bench.scratch}/tree.tar'
        self.source = f'{self.bench.scratch}/tree'
        data.pack(data.tree(self.mib), self.archive)
        os.mkdir(self.source)
        subprocess.run(['tar', '-xf', self.archive, '-C', self.source], check=True)
        self.sums = data.digests(self.source)

    def end(self):
        os.unlink(self.archive)
        shutil.rmtree(self.source)

    def before(self, peer, step):
        if step == 'rm -r':
            peer.client(['cp', '-a', self.source, f'{peer.dir}/goes'])
        elif step == 'read':
            data.forget(f'{peer.dir}/unpacked')
        elif step == 'untar':
            peer.client(['sh', '-ec', 'rm -rf unpacked && mkdir unpacked'], cwd=peer.dir)
        else:
            peer.client(['rm', '-rf', 'copy'], cwd=peer.dir)

    def run(self, peer, step):
        script = {'cp -a': f'cp -a {shlex.quote(self.source)} copy && sync -f .',
                  'untar': f'tar -xf {shlex.quote(self.archive)} -C unpacked && sync -f .',
                  'read': 'find unpacked -type f -print0 | xargs -0 cat | wc -c',
                  'rm -r': 'rm -r goes'}[step]
        done = peer.timed(['sh', '-ec', script], cwd=peer.dir)
        if step == 'read' and int(done.stdout) != sum(s for s, _, _ in self.sums.values()):
            raise Wrong(f'{peer.name}: read {done.stdout.strip()} bytes')
        return {'time': done.seconds}

    def _compare(self, peer, name):
        found = data.digests(f'{peer.dir}/{name}')
        wrong = [p for p in set(found) | set(self.sums) if found.get(p) != self.sums.get(p)]
        if wrong:
            raise Wrong(f'{peer.name}: {name}: {len(wrong)} files are not what they were: '
                        f'{sorted(wrong)[:3]}')

    def verify(self, peer):
        for name in ('copy', 'unpacked'):
            data.forget(f'{peer.dir}/{name}')
            self._compare(peer, name)


def cases(bench):
    yield Trees(bench)
