# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tables of a mount of ours take."""


def taken(peer):
    """Bytes in RAM of the arena's tables: entries, inodes, names; 0 for others.

    Asked of the kernel: our own key table_bytes has the heap in it, and what the
    kernel needs to map the pool."""
    if not hasattr(peer, 'key'):
        return 0
    total, ours = 0, False
    with open(f'/proc/{peer.process.pid}/smaps', encoding='utf-8') as file:
        for line in file:
            first = line.split(maxsplit=1)[0]
            if not first.endswith(':'):
                ours = 'foldfs-meta' in line
            elif ours and first == 'Rss:':
                total += int(line.split()[1]) << 10
    return total
