# SPDX-License-Identifier: GPL-2.0-or-later
"""A peer for names: libfuse's passthrough_ll over a tmpfs.

The example that comes with libfuse3-dev keeps nothing of its own and compresses
nothing: what it takes longer than a tmpfs is what FUSE costs with libfuse's
loop. Its cache is on ("always"), like ours.
"""
import os
import shlex
import shutil
import subprocess

import peer as peers
from case import CannotRun

SOURCE = '/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c'


def _built(directory):
    """The program, compiled once a bench."""
    program = f'{directory}/passthrough_ll'
    if os.path.exists(program):
        return program
    source = f'{directory}/passthrough_ll.c'
    if os.path.exists(SOURCE):
        folder = os.path.dirname(SOURCE)
        shutil.copy(SOURCE, source)
        shutil.copy(f'{folder}/passthrough_helpers.h', directory)
    elif os.path.exists(SOURCE + '.gz'):
        with open(source, 'wb') as file:
            subprocess.run(['gzip', '-dc', SOURCE + '.gz'], check=True, stdout=file)
    else:
        raise CannotRun('libfuse3-dev has brought no examples')
    flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'fuse3'], check=False, text=True,
                           stdout=subprocess.PIPE).stdout
    done = subprocess.run(['gcc', '-O2', '-w', '-D_FILE_OFFSET_BITS=64', '-o', program, source,
                           *shlex.split(flags), '-lpthread'], check=False, text=True,
                          capture_output=True)
    if done.returncode:
        raise CannotRun(f'passthrough_ll does not compile: {done.stderr[-300:].strip()}')
    return program


class Passthrough(peers.Peer):
    """passthrough_ll in the foreground, as many threads as libfuse likes."""
    name = 'passthrough'
    title = 'passthrough_ll on a tmpfs'
    programs = ('gcc', 'pkg-config')

    def up(self):
        program = _built(self.world.directory)
        source = f'{self.top}/source'
        os.mkdir(source)
        self.call('mount', '-t', 'tmpfs', '-o', f'size={2 * self.size}', 'none', source)
        self.stack.callback(peers._unmount, source)
        self.dir = f'{self.top}/mount'
        os.mkdir(self.dir)
        self.described = 'cache=always,timeout=86400,xattr,no_writeback'
        self.daemon([program, '-f', '-o', f'source={source},{self.described}', self.dir],
                    lambda: os.path.ismount(self.dir), lambda: peers._unmount(self.dir))
        self.file = f'{self.dir}/file'


peers.ALL[Passthrough.name] = Passthrough
