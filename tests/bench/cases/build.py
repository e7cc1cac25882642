# SPDX-License-Identifier: GPL-2.0-or-later
"""A real C project, this one, unpacked and built inside of the peer."""
import os
import shlex
import subprocess

import data
from case import Case, Metric, Target, Wrong

ROUND_TRIPS = ('compilers open and ask for hundreds of small files; what the kernel cannot answer '
               'itself is a request to a daemon')


def sources(top):
    """The files of our own tree, as git knows them or as they lie there."""
    done = subprocess.run(['git', '-C', top, 'ls-files', '-z'], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if done.returncode == 0:
        names = [os.fsdecode(n) for n in done.stdout.split(b'\0') if n]
        return sorted(n for n in names if os.path.isfile(f'{top}/{n}'))
    found = []
    for folder, dirs, names in os.walk(top):
        dirs[:] = sorted(d for d in dirs if not d.startswith(('build', '.git')))
        found += [os.path.relpath(os.path.join(folder, n), top) for n in names]
    return sorted(found)


class Build(Case):
    """tar, meson and ninja with two jobs; the compiler's temporary files too.

    The quick form sets up and builds a part, so that it has rounds enough."""
    name = 'build'
    title = 'untar our sources, meson setup, ninja -j2'
    peers = ('foldfs', 'tmpfs', 'ext4-zram')
    size = 512 << 20
    programs = ('meson', 'ninja', 'gcc')
    metrics = [Metric('time', 's', 'low'), Metric('untar', 's', 'low')]
    targets = [
        Target('untar and build: time beside a tmpfs', 'time', against='tmpfs', at_most=1.15,
               reason=ROUND_TRIPS),
        Target('untar and build: time beside ext4 on zram', 'time', against='ext4-zram',
               at_most=1, reason=ROUND_TRIPS)]

    def __init__(self, bench):
        super().__init__(bench)
        self.goal = 'src/store/libstore.a src/ctl/libctl.a' if bench.quick else 'foldfs foldctl'
        self.rounds = 3 if bench.quick else None
        self.budget = 35 if bench.quick else 300

    def begin(self):
        self.archive = f'{self.bench.scratch}/sources.tar'
        data.pack(sources(self.bench.top), self.archive, self.bench.top)

    def end(self):
        os.unlink(self.archive)

    def before(self, peer, step):
        peer.client(['sh', '-ec', 'rm -rf tree temporary && mkdir tree temporary'], cwd=peer.dir)

    def run(self, peer, step):
        where = {**os.environ, 'TMPDIR': f'{peer.dir}/temporary', 'CCACHE_DISABLE': '1'}
        script = (f'tar -xf {shlex.quote(self.archive)} -C tree && date +%s.%N >unpacked && '
                  f'meson setup tree/build tree >log && ninja -j2 -C tree/build {self.goal} >>log')
        done = peer.timed(['sh', '-ec', 'date +%s.%N >started; ' + script], cwd=peer.dir, env=where)
        with open(f'{peer.dir}/started', encoding='ascii') as file:
            start = float(file.read())
        with open(f'{peer.dir}/unpacked', encoding='ascii') as file:
            untar = float(file.read()) - start
        return {'time': done.seconds, 'untar': untar}

    def verify(self, peer):
        """What was unpacked is still what was packed, and nothing is left for
        ninja to do."""
        peer.client(['tar', '-df', self.archive, '-C', f'{peer.dir}/tree'])
        said = peer.client(['sh', '-ec', f'ninja -C tree/build {self.goal} | tail -n 1'],
                           cwd=peer.dir)
        if 'no work to do' not in said:
            raise Wrong(f'{peer.name}: ninja would build again: {said.strip()}')


def cases(bench):
    yield Build(bench)
