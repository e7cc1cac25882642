# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs under test where everybody can reach them: who cloned as root
into /root built them where ordinary users may not even look."""
import os
import subprocess


def _for_all(path):
    """May everybody come as far as this file?"""
    while path != '/':
        path = os.path.dirname(path)
        if os.stat(path).st_mode & 0o001 == 0:
            return False
    return True


def reachable(path, folder):
    """The path itself; or, in a mount namespace of our own, another below
    `folder` that is the same file, for reading."""
    if not os.path.exists(path) or _for_all(path):
        return path
    os.makedirs(folder, 0o755, exist_ok=True)
    there = os.path.join(folder, os.path.basename(path))
    with open(there, 'xb'):
        pass
    subprocess.run(['mount', '--bind', path, there], check=True)
    subprocess.run(['mount', '-o', 'remount,bind,ro', there], check=True)
    return there
