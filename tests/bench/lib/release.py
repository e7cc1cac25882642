# SPDX-License-Identifier: GPL-2.0-or-later
"""A release build of this tree, in a directory that outlives the tree."""
import json
import os
import shutil
import subprocess


def source_of(build):
    """The tree that the build directory was set up for; '': it is none."""
    try:
        with open(f'{build}/meson-info/meson-info.json', encoding='utf-8') as file:
            return os.path.realpath(json.load(file)['directories']['source'])
    except (OSError, ValueError, KeyError):
        return ''


def set_up(build, top, *options):
    """Anew if it is another tree's: ninja would go on building that one, and it
    would be measured under this one's name."""
    source = source_of(build)
    if source == os.path.realpath(top) and os.path.exists(f'{build}/build.ninja'):
        return
    if source:
        shutil.rmtree(build)
    subprocess.run(['meson', 'setup', '--buildtype=release', *options, build, top], check=True,
                   stdout=subprocess.DEVNULL)
