/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another try for what failed for want of room.
 *
 * Where there is a backing file and RAM is short, it waits until pages have gone
 * there, as often as that makes room. Deleting makes room at once, but the
 * kernel's word that nobody has an unlinked file open (FORGET) is queued beside
 * other requests, and a large file takes a while to free. So a caller that got
 * ENOSPC goes on serving other requests as long as such files are on their way
 * out. After many deletions memory may also be held by spans with few objects
 * left in them: then it waits for one pass of the tidying task.
 */
#ifndef SRC_FS_ROOM_H
#define SRC_FS_ROOM_H

#include "fs/state.h"

/* What one request has tried already; zeroes at first. */
struct room {
	unsigned tries;
};

/*
 * @r: what the last try said. True: it failed for want of room and is worth
 * doing again: what was on its way out has gone, or pages have gone to the
 * backing file. Blocks, and carries out other requests; the caller is worker_now
 * or a background thread, holds no stream and no lock, and has nothing in its
 * reply buffer.
 */
bool room_try_again(struct fs *fs, int r, struct room *room);

#endif
