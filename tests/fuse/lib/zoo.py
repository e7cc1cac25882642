# SPDX-License-Identifier: GPL-2.0-or-later
"""A tree with one of everything, for tools that copy and pack."""
import os
import subprocess

from files import noise, text


def make(top):
    """Files of many sizes, links, holes, odd names, special files, owners,
    modes, times, attributes and ACLs."""
    os.makedirs(f'{top}/dir/below/deep')
    for i, size in enumerate((0, 1, 100, 4095, 4096, 4097, 70000, 1 << 20)):
        with open(f'{top}/text{i}', 'wb') as file:
            file.write(text(size, i))
        with open(f'{top}/dir/noise{i}', 'wb') as file:
            file.write(noise(size, i))
    for i in range(300):
        with open(f'{top}/dir/below/small{i}', 'wb') as file:
            file.write(text(i * 13, i))
        os.chmod(f'{top}/dir/below/small{i}', 0o600 + i % 64)
    with open(f'{top}/sparse', 'wb') as file:
        file.seek(30 << 20)
        file.write(b'end')
    os.link(f'{top}/text3', f'{top}/dir/hard')
    os.link(f'{top}/text3', f'{top}/dir/below/hard')
    os.symlink('../text3', f'{top}/dir/soft')
    os.symlink('/nowhere/' + 'x' * 900, f'{top}/dangling')
    os.mkfifo(f'{top}/fifo')
    os.mknod(f'{top}/device', 0o020640, os.makedev(1, 3))
    with open(os.fsencode(top) + b'/odd \n\xff name', 'wb') as file:
        file.write(b'odd')
    os.chown(f'{top}/text1', 1000, 2000)
    os.chmod(f'{top}/text2', 0o4711)
    os.chmod(f'{top}/dir', 0o2770)
    os.setxattr(f'{top}/text4', 'user.colour', b'red')
    os.setxattr(f'{top}/dir', 'user.kind', b'folder')
    subprocess.run(['setfacl', '-m', 'u:1001:rw', f'{top}/text5'], check=True)
    subprocess.run(['setfacl', '-d', '-m', 'u:1001:rwx', f'{top}/dir/below'],
                   check=True)
    for i, (folder, dirs, names) in enumerate(os.walk(os.fsencode(top),
                                                      topdown=False)):
        for k, name in enumerate(names + dirs):
            os.utime(os.path.join(folder, name),
                     ns=(10 ** 18, 10 ** 18 + i * 1000003 + k),
                     follow_symlinks=False)


def listing(top):
    """{path: all that a good copy keeps}."""
    found = {}
    for folder, dirs, names in os.walk(os.fsencode(top)):
        for name in dirs + names:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            link = os.path.islink(path)
            attributes = {} if link else {
                n: os.getxattr(path, n) for n in os.listxattr(path)}
            found[os.path.relpath(path, os.fsencode(top))] = (
                oct(st.st_mode), st.st_uid, st.st_gid, st.st_rdev,
                st.st_mtime_ns, os.readlink(path) if link else None,
                None if os.path.isdir(path) else (st.st_size, st.st_nlink),
                attributes)
    return found


def same(top, other):
    """'' or the first difference in what both hold, contents included."""
    one, two = listing(top), listing(other)
    for path in sorted(set(one) | set(two)):
        if one.get(path) != two.get(path):
            return f'{path!r}: {one.get(path)} and {two.get(path)}'
    for path in sorted(one):
        first = os.path.join(os.fsencode(top), path)
        if os.path.isfile(first) and not os.path.islink(first):
            with open(first, 'rb') as a, \
                    open(os.path.join(os.fsencode(other), path), 'rb') as b:
                if a.read() != b.read():
                    return f'{path!r}: contents differ'
    return ''
