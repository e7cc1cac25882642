/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done by hand: the file comes and goes, pages go out and come back.
 *
 * All of it goes in steps and takes turns with the spiller's own sweeps.
 */
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/page.h"
#include "fs/pause.h"
#include "fs/spill_inside.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A file that nobody refers to may have readers for a moment. */
#define CLOSE_MOST_NS (10 * NS_PER_S)
/* Without fewer pages being spilled, for those that no file shows to go. */
#define LEFT_MOST_NS (10 * NS_PER_S)
/* For the last daemon of a spill file to let go of it. */
#define IN_USE_NS (2 * NS_PER_S)
/* That wait in line. */
#define ORDERS_MOST 64u

/*
 * Who may turn knobs waits in line, in the later thread's own order; whoever
 * only owns a file is told to come again, and stops for them at its next step:
 * so no crowd of owners keeps a detach from its turn.
 */
int spiller_claim(struct spiller *s, enum spill_order_kind kind)
{
	int r = 0;

	lock_take(&s->lock);
	if (kind == SPILL_ORDER_MOUNT && s->mount_orders < ORDERS_MOST)
		s->mount_orders++;
	else if (kind == SPILL_ORDER_FILE && !s->mount_orders && !s->file_order)
		s->file_order = true;
	else
		r = -EBUSY;
	lock_drop(&s->lock);
	return r;
}

void spiller_release(struct spiller *s, enum spill_order_kind kind)
{
	lock_take(&s->lock);
	if (kind == SPILL_ORDER_MOUNT)
		s->mount_orders--;
	else
		s->file_order = false;
	lock_drop(&s->lock);
}

/* A file's order while one of the mount's waits behind it. */
static bool gives_way(struct spiller *s)
{
	bool waits;

	lock_take(&s->lock);
	waits = s->mount_orders > 0;
	lock_drop(&s->lock);
	return waits;
}

static bool is_cancelled(const struct spiller *s)
{
	return atomic_load_explicit(&s->cancelled, memory_order_relaxed) ||
	       atomic_load_explicit(&s->called_off, memory_order_relaxed);
}

static bool is_detaching(const struct spiller *s)
{
	return atomic_load_explicit(&s->detaching, memory_order_relaxed);
}

/* --- the file comes --- */

/* What would make it right, where that is not said by what is wrong. */
static const char *cure_for(int err)
{
	switch (-err) {
	case EEXIST:
		return "; with spill_force it would be overwritten";
	case EXDEV:
		return "; name a file on a disk";
	case EISDIR:
		return "; name a file in it";
	case EACCES:
	case EPERM:
	case EROFS:
		return "; name one that who mounts may write";
	case ENOENT:
		return "; make its directory first";
	case ENOMEM:
		return "; raise mem_limit";
	case EOPNOTSUPP:
		return "; leave spill_encrypt out";
	}
	return "";
}

/* umount(8) returns before the daemon has ended: who mounts again at once must
 * not be told that his own file is in use. */
static int open_patiently(struct engine *e, const struct backing_config *how,
			  char *why)
{
	const struct timespec nap = {.tv_nsec = 20000000};
	uint64_t end_ns = clock_ns() + IN_USE_NS;
	int r = store_spill_prepare(e->store);

	if (r) {
		snprintf(why, SPILL_WHY_MAX, "%s: %s", how->path, strerror(-r));
		return r;
	}
	while ((r = backing_open(e->backing, how, why, SPILL_WHY_MAX)) ==
		       -EBUSY &&
	       clock_ns() < end_ns)
		nanosleep(&nap, NULL);
	return r;
}

/* For who has asked, as it is logged; @err 0: there is nothing to say. */
static void note_refusal(struct spiller *s, int err, const char *why)
{
	lock_take(&s->lock);
	s->refused_err = err;
	if (err)
		snprintf(s->refused, sizeof(s->refused), "%s%s", why,
			 cure_for(err));
	lock_drop(&s->lock);
}

bool spiller_why(struct spiller *s, int err, char why[SPILL_WHY_MAX])
{
	bool known;

	lock_take(&s->lock);
	known = err && s->refused_err == err;
	if (known)
		memcpy(why, s->refused, SPILL_WHY_MAX);
	lock_drop(&s->lock);
	return known;
}

static int open_locked(struct spiller *s, const char *path)
	REQUIRES(s->file_lock)
{
	const struct fs_config *config = s->fs->config;
	const struct backing_config how = {
		.path = path,
		.most_bytes = s->most_bytes,
		.force = config->spill_force,
		.encrypt = config->spill_encrypt,
	};
	char why[SPILL_WHY_MAX] = "";
	char *copy = heap_strdup(path);
	int r;

	if (!copy)
		return -ENOMEM;
	r = open_patiently(&s->fs->engine, &how, why);
	if (r) {
		log_error("%s: spill: %s%s", config->mountpoint, why,
			  cure_for(r));
		note_refusal(s, r, why);
		heap_free(copy);
		return r;
	}
	heap_free(s->path);
	s->path = copy;
	return 0;
}

int spiller_attach(struct spiller *s, const char *path)
{
	int r = -EBUSY;

	note_refusal(s, 0, "");
	if (*path != '/')
		return -EINVAL;
	lock_take(&s->sweep_lock);
	lock_take(&s->file_lock);
	if (!backing_is_open(s->fs->engine.backing))
		r = open_locked(s, path);
	lock_drop(&s->file_lock);
	lock_drop(&s->sweep_lock);
	if (!r)
		spill_unstick(s);
	return r;
}

/* --- back to RAM --- */

struct fetch {
	struct spiller *spiller;
	struct spill_reader *reader;
	uint64_t first_page, end_page;
	int err;
	bool ends; /* with the detach that it is for */
};

/* Pages between two looks whether to go on: a moment's worth. */
#define FETCH_PAGES 1024u

/* 0, -EINTR, -EBUSY: it gives way. */
static int go_on(const struct fetch *fetch)
{
	struct spiller *s = fetch->spiller;

	if (is_cancelled(s) || (fetch->ends && !is_detaching(s)))
		return -EINTR;
	return !fetch->ends && gives_way(s) ? -EBUSY : 0;
}

uint64_t spill_next_held(struct store *store, struct file file, uint64_t page)
{
	uint64_t offset;

	if (page >= page_of(FILE_MAX_BYTES) ||
	    store_seek(store, file, page * PAGE_BYTES, SEEK_DATA, &offset) != 0)
		return UINT64_MAX;
	return page_of(offset);
}

static bool fetch_body(void *arg, struct file file)
{
	const struct spill_scan what = {.how = SPILL_SCAN_FETCH};
	struct fetch *fetch = arg;
	struct spill_scanned scanned;
	struct store *store = fetch->spiller->fs->engine.store;
	uint64_t page = spill_next_held(store, file, fetch->first_page);

	while (page < fetch->end_page && fetch->err != -ENOSPC) {
		uint64_t left = fetch->end_page - page;
		uint64_t end = page + (left < FETCH_PAGES ? left : FETCH_PAGES);
		int r;

		r = go_on(fetch);
		if (r) {
			fetch->err = r;
			return false;
		}
		pause_point(fetch->spiller->fs->pause, PAUSE_SERVING);
		r = store_spill_scan(fetch->reader, file, page, end, &what,
				     &scanned);
		if (r || scanned.unreadable)
			fetch->err = r ? r : -EIO;
		page = spill_next_held(store, file, end);
	}
	return fetch->err != -ENOSPC;
}

static void fetch_one(void *arg, struct file file)
{
	fetch_body(arg, file);
}

static int fetch_begin(struct fetch *fetch)
{
	int r = go_on(fetch);

	return r ? r
		 : spill_reader_new(fetch->spiller->fs->engine.store,
				    &fetch->reader);
}

static uint64_t pages_spilled(const struct spiller *s)
{
	struct store_stats stats;

	store_stats(s->fs->engine.store, &stats);
	return stats.spilled_pages;
}

static int fetch_each(struct spiller *s)
{
	struct fetch fetch = {
		.spiller = s,
		.end_page = UINT64_MAX,
		.ends = true,
	};

	fetch.err = fetch_begin(&fetch);
	if (!fetch.err)
		tree_each_file(s->fs->engine.tree, TALLY_SHARED_ROW, fetch_body,
			       &fetch);
	spill_reader_free(fetch.reader);
	return fetch.err;
}

/*
 * Until none is left. A page that went out before the detach began may commit
 * after the first walk has passed it by; and what a walk does not show any more
 * (a deleted file's, one that is being cut off or overwritten) still counts for
 * a moment.
 */
static int fetch_all(struct spiller *s)
{
	const struct timespec nap = {.tv_nsec = 10000000};
	uint64_t left = pages_spilled(s), before;
	uint64_t end_ns = clock_ns() + LEFT_MOST_NS;
	int r;

	while (!(r = fetch_each(s))) {
		before = left;
		left = pages_spilled(s);
		if (!left)
			return 0;
		if (left < before) {
			end_ns = clock_ns() + LEFT_MOST_NS;
			continue;
		}
		if (clock_ns() >= end_ns)
			return -EBUSY;
		nanosleep(&nap, NULL);
	}
	return r;
}

/* It would not fit anyway: nothing is moved in vain. */
static bool fits(const struct spiller *s)
{
	const struct engine *e = &s->fs->engine;
	struct backing_stats stats;

	backing_stats(e->backing, &stats);
	return stats.payload_bytes <= budget_room(&e->budget);
}

static int close_file(struct spiller *s)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	uint64_t end_ns = clock_ns() + CLOSE_MOST_NS;
	int r;

	do {
		lock_take(&s->sweep_lock);
		lock_take(&s->file_lock);
		r = backing_close(s->fs->engine.backing);
		if (!r) {
			heap_free(s->path);
			s->path = NULL;
		}
		lock_drop(&s->file_lock);
		lock_drop(&s->sweep_lock);
		if (r)
			nanosleep(&ms, NULL);
		if (is_cancelled(s) || !is_detaching(s))
			return r ? -EINTR : 0;
	} while (r == -EBUSY && clock_ns() < end_ns);
	return r;
}

static int detach(struct spiller *s)
{
	int r = fits(s) ? fetch_all(s) : -ENOSPC;

	if (!r)
		r = close_file(s);
	if (r == -EINTR &&
	    atomic_load_explicit(&s->crowded_out, memory_order_relaxed))
		r = -ENOSPC;
	if (r && r != -EINTR)
		log_warning("%s: the backing file stays: %s",
			    s->fs->config->mountpoint,
			    r == -ENOSPC  ? "what is in it does not fit into "
					    "mem_limit"
			    : r == -EIO   ? "some of it cannot be read"
			    : r == -EBUSY ? "some of it is still in use"
					  : strerror(-r));
	return r;
}

int spiller_detach(struct spiller *s)
{
	int r;

	note_refusal(s, 0, "");
	if (!backing_is_open(s->fs->engine.backing))
		return 0;
	atomic_store_explicit(&s->detach_pages, pages_spilled(s),
			      memory_order_relaxed);
	atomic_store_explicit(&s->crowded_out, false, memory_order_relaxed);
	atomic_store_explicit(&s->detaching, true, memory_order_relaxed);
	spill_turn(s, false);
	/* What goes on began before; the next one will see it. */
	lock_take(&s->sweep_lock);
	lock_drop(&s->sweep_lock);
	r = detach(s);
	atomic_store_explicit(&s->detaching, false, memory_order_relaxed);
	spill_unstick(s);
	return r;
}

/* --- out and back --- */

static struct spill_pick pick_for(struct spiller *s, enum spill_what what)
{
	struct spill_pick pick = {.end_page = UINT64_MAX};
	unsigned idle;

	lock_take(&s->sweep_lock);
	idle = spill_clock_idle_age(&s->clock);
	lock_drop(&s->sweep_lock);
	if (what == SPILL_IDLE || what == SPILL_HUGE_IDLE)
		pick.raw_min_age = idle;
	pick.min_age = what == SPILL_IDLE  ? idle
		       : what == SPILL_ALL ? 0
					   : SPILL_NONE;
	return pick;
}

static int write_back(struct spiller *s, struct spill_work *work,
		      uint64_t *ret_pages)
{
	struct spill_result result;
	int r;

	*ret_pages = 0;
	work->pick.batch =
		atomic_load_explicit(&s->batch, memory_order_relaxed);
	work->pick.budget_bytes =
		spill_step_bytes(budget_limit(&s->fs->engine.budget));
	do {
		pause_point(s->fs->pause, PAUSE_SERVING);
		r = is_cancelled(s) ? -EINTR
		    : work->file && gives_way(s)
			    ? -EBUSY
			    : spill_sweep(s, work, &result);
		if (r)
			return r;
		*ret_pages += result.pages;
	} while (result.pages && !result.err);
	return result.err;
}

static const char *const words[] = {
	[SPILL_ALL] = "all",
	[SPILL_IDLE] = "idle",
	[SPILL_HUGE] = "huge",
	[SPILL_HUGE_IDLE] = "huge_idle",
};

int spiller_what(const char *word, enum spill_what *ret)
{
	/* What the last codec gave up on: there is but one. */
	if (strcmp(word, "incompressible") == 0)
		word = words[SPILL_HUGE];
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(word, words[i]) == 0) {
			*ret = (enum spill_what)i;
			return 0;
		}
	return -EINVAL;
}

int spiller_write_back(struct spiller *s, enum spill_what what)
{
	struct spill_work work = {.pick = pick_for(s, what)};
	uint64_t pages;
	int r;

	backing_try_full(s->fs->engine.backing);
	r = write_back(s, &work, &pages);
	lock_take(&s->lock);
	s->written = words[what];
	s->written_pages = pages;
	lock_drop(&s->lock);
	return r;
}

int spiller_mark_idle(struct spiller *s, uint64_t seconds)
{
	if (is_cancelled(s))
		return -EINTR;
	/* All that is there is one tick old then, what comes is not. */
	if (seconds == 0)
		spill_tick(s);
	lock_take(&s->sweep_lock);
	spill_clock_mark_idle(
		&s->clock,
		seconds ? spill_clock_age(&s->clock, clock_ns(), seconds) : 1);
	lock_drop(&s->sweep_lock);
	lock_take(&s->lock);
	s->was_idle = true;
	s->idle_seconds = seconds;
	lock_drop(&s->lock);
	return 0;
}

int spiller_move(struct spiller *s, struct file file, bool out,
		 uint64_t first_page, uint64_t end_page)
{
	struct spill_work work = {
		.pick = {.first_page = first_page, .end_page = end_page},
		.file = &file,
	};
	struct fetch fetch = {
		.spiller = s,
		.first_page = first_page,
		.end_page = end_page,
	};
	uint64_t pages;

	if (out)
		return write_back(s, &work, &pages);
	fetch.err = fetch_begin(&fetch);
	if (!fetch.err)
		tree_with_file(s->fs->engine.tree, TALLY_SHARED_ROW, file.ix,
			       fetch_one, &fetch);
	spill_reader_free(fetch.reader);
	return fetch.err;
}
