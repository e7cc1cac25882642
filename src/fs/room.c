/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A second try for what failed for want of RAM. */
#include "fs/room.h"
#include "base/page.h"
#include "fs/tidy.h"
#include <errno.h>

bool room_try_again(struct fs *fs, int r)
{
	struct store *store = fs->engine.store;

	if (likely(r != -ENOSPC))
		return false;
	/* The size limit is none of RAM's: tidying would not help. */
	if (store_pages_held(store) >= pages_for(store_limit(store)))
		return false;
	if (!store_wants_compaction(store))
		return false;
	tidy_now(fs->tidy);
	return true;
}
