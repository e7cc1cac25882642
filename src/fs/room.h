/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A second try for what failed for want of RAM.
 *
 * After many deletions memory may be held by spans with few objects left in
 * them. Then a caller that got ENOSPC waits for one pass of the tidying task
 * and tries once more.
 */
#ifndef SRC_FS_ROOM_H
#define SRC_FS_ROOM_H

#include "fs/state.h"

/*
 * @r: what the first try said. True: it failed for want of room, room may
 * have been made meanwhile, and it is worth doing again. Blocks; the caller
 * holds no stream and no lock.
 */
bool room_try_again(struct fs *fs, int r);

#endif
