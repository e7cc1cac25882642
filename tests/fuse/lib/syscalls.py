# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls that Python's os module does not have."""
import ctypes
import os

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
RENAME_WHITEOUT = 4
KEEP_SIZE = 1
PUNCH_HOLE = 2
COLLAPSE_RANGE = 8
ZERO_RANGE = 16
INSERT_RANGE = 32
UTIME_NOW = (1 << 30) - 1
UTIME_OMIT = (1 << 30) - 2
AT_FDCWD = -100
AT_SYMLINK_FOLLOW = 0x400

libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.c_void_p
libc.readdir.argtypes = libc.telldir.argtypes = [ctypes.c_void_p]
libc.closedir.argtypes = libc.rewinddir.argtypes = [ctypes.c_void_p]
libc.telldir.restype = ctypes.c_long
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64,
                           ctypes.c_int64]


def _checked(result, path=None):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def renameat2(old, new, flags):
    """rename() with flags."""
    _checked(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD,
                            os.fsencode(new), flags), old)


def fallocate(fd, mode, offset, length):
    """fallocate() with a mode."""
    _checked(libc.fallocate(fd, mode, offset, length))


def link_open(fd, new):
    """Give an open file a (further) name."""
    _checked(libc.linkat(AT_FDCWD, f'/proc/self/fd/{fd}'.encode(), AT_FDCWD,
                         os.fsencode(new), AT_SYMLINK_FOLLOW), new)


class _Timespec(ctypes.Structure):
    _fields_ = [('sec', ctypes.c_int64), ('nsec', ctypes.c_int64)]


def utimensat(path, atime, mtime, flags=0):
    """utimensat() with (seconds, nanoseconds or UTIME_*) each."""
    times = (_Timespec * 2)(_Timespec(*atime), _Timespec(*mtime))
    _checked(libc.utimensat(AT_FDCWD, os.fsencode(path), times, flags), path)


class Directory:
    """opendir/readdir/telldir/seekdir as C programs use them."""

    def __init__(self, path):
        self.stream = libc.opendir(os.fsencode(path))
        if not self.stream:
            _checked(-1, path)

    def read(self):
        """The next (name, inode, type), `.` and `..` included, or None."""
        ctypes.set_errno(0)
        where = libc.readdir(self.stream)
        if not where:
            if ctypes.get_errno():
                _checked(-1)
            return None
        # struct dirent: ino 8, off 8, reclen 2, type 1, name.
        ino = ctypes.c_uint64.from_address(where).value
        kind = ctypes.c_uint8.from_address(where + 18).value
        return ctypes.string_at(where + 19).decode(), ino, kind

    def rest(self):
        """All entries that are left."""
        return list(iter(self.read, None))

    def tell(self):
        """A cookie for this place."""
        return libc.telldir(self.stream)

    def seek(self, cookie):
        """Back to the place of a cookie."""
        libc.seekdir(self.stream, cookie)

    def rewind(self):
        """Back to the start, seeing what is new."""
        libc.rewinddir(self.stream)

    def close(self):
        """Give the stream back."""
        libc.closedir(self.stream)


def parent_by_readdir(path):
    """The inode number of `..` as the file system tells it. Ask before
    anything else has listed the directory: the kernel keeps listings."""
    stream = Directory(path)
    found = [ino for name, ino, _ in stream.rest() if name == '..']
    stream.close()
    return found[0]
