# SPDX-License-Identifier: GPL-2.0-or-later
"""Files with known content, and reading them past the kernel's cache."""
import hashlib
import os
import random
import time

PAGE = 4096
MIB = 1 << 20
# CLOCK_REALTIME_COARSE, the clock that stamps files; `time` has no name for it.
COARSE = 5
WORDS = ('the compressed page of a directory in memory is smaller than what '
         'was written to it because text repeats itself again and again '
         'struct inode entry handle span arena worker stream codec').split()


def noise(n, seed=0):
    """n bytes that no codec shrinks."""
    return random.Random(seed).randbytes(n)


def text(n, seed=0):
    """n bytes that compress about threefold, no two pages equal."""
    rng = random.Random(seed)
    parts, size = [], 0
    while size < n:
        line = f'{rng.randrange(10 ** 9)} ' + ' '.join(
            rng.choices(WORDS, k=12)) + '\n'
        parts.append(line)
        size += len(line)
    return ''.join(parts).encode()[:n]


def put(path, data):
    """Write a whole file through to the file system."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    return path


def write_all(fd, data):
    """write() until all of it is taken."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def forget_cache(path):
    """Make the next read come from the file system, not the page cache."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def fresh(path):
    """The file's bytes as the file system has them."""
    forget_cache(path)
    with open(path, 'rb') as file:
        return file.read()


def tree_digest(top):
    """{path: what it is} for everything below top: kind, mode, owner,
    times of files, target or checksum, link count of files."""
    found = {}
    for folder, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            what = [oct(st.st_mode), st.st_uid, st.st_gid]
            if os.path.islink(path):
                what.append(os.readlink(path))
            elif os.path.isfile(path):
                what += [st.st_size, st.st_mtime_ns, st.st_nlink,
                         digest(path)]
            found[os.path.relpath(path, top)] = what
    return found


def digest(path):
    """SHA-256 of a file."""
    sha = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(MIB):
            sha.update(chunk)
    return sha.hexdigest()


def source_tree(top, files=300):
    """Grow a small C project with a Makefile: a program of many parts that
    prints the sum it computes; returns what it must print."""
    os.makedirs(f'{top}/part')
    total = 0
    for i in range(files):
        with open(f'{top}/part/p{i}.h', 'w', encoding='ascii') as file:
            file.write(f'int part_{i}(int x);\n')
        with open(f'{top}/part/p{i}.c', 'w', encoding='ascii') as file:
            file.write(f'#include <stdio.h>\n#include "p{i}.h"\n'
                       f'int part_{i}(int x)\n{{\n\treturn x + {i};\n}}\n')
        total += i
    with open(f'{top}/main.c', 'w', encoding='ascii') as file:
        file.write('#include <stdio.h>\n' + ''.join(
            f'#include "part/p{i}.h"\n' for i in range(files)))
        file.write('int main(void)\n{\n\tint x = 0;\n' + ''.join(
            f'\tx = part_{i}(x);\n' for i in range(files)))
        file.write('\tprintf("%d\\n", x);\n\treturn 0;\n}\n')
    with open(f'{top}/Makefile', 'w', encoding='ascii') as file:
        file.write('OBJ := $(patsubst %.c,%.o,$(wildcard part/*.c)) main.o\n'
                   'CFLAGS := -O0 -pipe -Wall -Werror\n'
                   'sum: libpart.a main.o\n\t$(CC) -o $@ main.o libpart.a\n'
                   'libpart.a: $(filter part/%,$(OBJ))\n\t$(AR) rcs $@ $^\n'
                   'clean:\n\trm -f sum libpart.a $(OBJ)\n')
    return str(total)


def clock_passes(stamp_ns):
    """Return when the clock that the kernel stamps files with is past it;
    so a change that follows must get a later time."""
    while time.clock_gettime_ns(COARSE) <= stamp_ns:
        time.sleep(0.001)


def used_inodes(folder):
    """Inodes in use by statfs."""
    vfs = os.statvfs(folder)
    return vfs.f_files - vfs.f_ffree


def can_tmpfile(folder):
    """Whether O_TMPFILE works in this directory."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600))
    except OSError:
        return False
    return True
