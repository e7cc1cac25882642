# SPDX-License-Identifier: GPL-2.0-or-later
"""The build installed below a directory of the case, and shown in the places
it was made for by overlays that only the case's namespace sees."""
import json
import os
import subprocess

from checks import WORK, Wrong

BUILD = os.path.dirname(os.environ['FOLDFS_BUILT'])
ROOT = f'{WORK}/root'


def install():
    """`meson install` into ROOT; the options the build was made with."""
    done = subprocess.run(
        ['meson', 'install', '-C', BUILD, '--no-rebuild', '--quiet',
         '--destdir', ROOT], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Wrong(f'meson install: {done.stdout} {done.stderr}')
    return {o['name']: o['value'] for o in introspect('--buildoptions')}


def introspect(what):
    """What meson knows of the build."""
    return json.loads(subprocess.run(
        ['meson', 'introspect', what, BUILD], capture_output=True,
        check=True).stdout)


def tree():
    """All that was installed but directories, as paths from the root."""
    return sorted(os.path.join(folder, name)[len(ROOT):]
                  for folder, _, names in os.walk(ROOT) for name in names)


def overlay(over, on):
    """Show the directory `over` on top of `on`; False: there are none."""
    return subprocess.run(
        ['mount', '-t', 'overlay', 'overlay', '-o',
         f'lowerdir={over}:{on}', on], capture_output=True,
        check=False).returncode == 0


def show():
    """Show ROOT on top of /; False: there are no overlays here."""
    return all(overlay(f'{ROOT}/{name}', os.path.realpath(f'/{name}'))
               for name in sorted(os.listdir(ROOT)))


def commands(unit, instance, point):
    """The [Service] of a unit file as {name: [values]}, with the specifiers
    that we use filled in."""
    found = {}
    with open(unit, encoding='utf-8') as lines:
        for line in lines:
            name, equals, value = line.rstrip('\n').partition('=')
            if equals and not line.startswith(('#', '[')):
                found.setdefault(name, []).append(
                    [word.replace('%i', instance).replace('%f', point)
                     for word in value.split()])
    return found
