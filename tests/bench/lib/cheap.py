# SPDX-License-Identifier: GPL-2.0-or-later
"""A large file that is cheap to keep: each page is one word, again and again.

    cheap.py write|check FILE MIB STRIDE

Eight different words. With a STRIDE of more than 1, only the first MiB of so
many is there. `check` compares what is there.
"""
import mmap
import os
import sys

MIB = 1 << 20
PAGE = 4096


def content(number):
    """The MiB of this number: 256 pages, the words by turns."""
    return b''.join(((number + i) % 8 + 1).to_bytes(8, 'little') * (PAGE // 8)
                    for i in range(MIB // PAGE))


def main():
    mode, path, mib, stride = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    buffers = []
    for number in range(8):
        memory = mmap.mmap(-1, MIB)
        memory[:] = content(number)
        buffers.append(memory)
    got = mmap.mmap(-1, MIB)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
    if mode == 'write':
        os.ftruncate(fd, mib * MIB)
    for number in range(0, mib, stride):
        buffer = buffers[number // stride % 8]
        if mode == 'write':
            done = os.pwritev(fd, [buffer], number * MIB)
        else:
            done = os.preadv(fd, [got], number * MIB)
            if got[:] != buffer[:]:
                sys.exit(f'MiB {number} is not what was written')
        if done != MIB:
            sys.exit(f'MiB {number}: {done} bytes')
    os.close(fd)


main()
