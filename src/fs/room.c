/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Another try for what failed for want of room. */
#include "fs/room.h"
#include "base/clock.h"
#include "base/page.h"
#include "fs/loop.h"
#include "fs/parking.h"
#include "fs/pause.h"
#include "fs/ring.h"
#include "fs/spiller.h"
#include "fs/tidy.h"
#include "fs/worker.h"
#include <errno.h>
#include <time.h>

/* Freeing goes at gigabytes a second: longer than this it never takes. */
#define WAIT_MOST_NS (10 * NS_PER_S)
/* A request served while another waits may have to wait, too. */
#define WAITS_MOST 4

static void nap(void)
{
	const struct timespec ms = {.tv_nsec = 1000000};

	nanosleep(&ms, NULL);
}

/* Serve what comes, with buffers that hold nothing of the request at hand. */
static void serve_meanwhile(struct worker *w, struct tree *tree)
{
	uint64_t end_ns = clock_ns() + WAIT_MOST_NS;
	ssize_t n;

	while (tree_expects_room(tree) && clock_ns() < end_ns) {
		end_ns += pause_point(w->fs->pause, PAUSE_SERVING);
		parking_rest(w);
		parking_serve(w);
		n = loop_next_request(w);
		if (n < 0)
			return; /* the loop will find out by itself */
		if (n > 0)
			loop_serve(w, (size_t)n);
		else
			nap();
	}
}

/* Without buffers to serve others with: other workers, or those who wait with
 * buffers, let go of what is dying. */
static void wait_only(struct fs *fs)
{
	uint64_t end_ns = clock_ns() + WAIT_MOST_NS;

	while (tree_expects_room(fs->engine.tree) && clock_ns() < end_ns) {
		end_ns += pause_point(fs->pause, PAUSE_SERVING);
		nap();
	}
}

static void wait_for_the_dying(struct fs *fs)
{
	struct worker *w = worker_now;
	struct worker_outer outer;

	if (!tree_expects_room(fs->engine.tree))
		return;
	if (!w || !w->buffers || w->waits_for_room == WAITS_MOST ||
	    !worker_lend_buffers(w, &outer)) {
		wait_only(fs);
		return;
	}
	w->waits_for_room++;
	serve_meanwhile(w, fs->engine.tree);
	w->waits_for_room--;
	worker_return_buffers(w, &outer);
}

/* The size limit is none of RAM's: nothing of this would help. */
static bool is_ram_short(struct store *store)
{
	return store_pages_held(store) < pages_for(store_limit(store));
}

/*
 * Once also where nothing is on its way out: what was may have gone between the
 * first try and our look. While it waits for the spiller a worker serves nobody:
 * that takes a moment, needs no worker, and buffers to serve others with would
 * be taken of the very RAM that is short. So that comes first, but a detach is
 * called off only for who has waited for the dying as well.
 */
bool room_try_again(struct fs *fs, int r, struct room *room)
{
	struct store *store = fs->engine.store;
	bool better = false;

	if (likely(r != -ENOSPC))
		return false;
	ring_flush(worker_now);
	if (store_owes(store)) {
		store_settle(store, TALLY_SHARED_ROW);
		room->tries++;
		return true;
	}
	if (room->tries == 0) {
		if (is_ram_short(store) && spiller_is_open(fs->spiller) &&
		    spiller_wait(fs->spiller))
			return true;
		wait_for_the_dying(fs);
	}
	if (is_ram_short(store)) {
		better = spiller_wait(fs->spiller);
		if (!better && room->tries == 0 &&
		    store_wants_compaction(store))
			tidy_now(fs->tidy);
	}
	return room->tries++ == 0 || better;
}
