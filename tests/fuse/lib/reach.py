# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs under test where everybody can run them: who cloned as root
into /root, or made files for himself alone, built them where ordinary users
may not even look."""
import os
import shutil


def _for_all(path):
    """May everybody run this file, and come as far as it?"""
    may = os.stat(path).st_mode & 0o005 == 0o005
    while may and path != '/':
        path = os.path.dirname(path)
        may = os.stat(path).st_mode & 0o001 != 0
    return may


def reachable(path, folder):
    """The path itself, or a copy below `folder` that everybody can run."""
    if not os.path.exists(path) or _for_all(path):
        return path
    os.makedirs(folder, 0o755, exist_ok=True)
    there = os.path.join(folder, os.path.basename(path))
    shutil.copyfile(path, there)
    os.chmod(there, 0o755)
    return there
