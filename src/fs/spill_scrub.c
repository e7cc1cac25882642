/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading all that is on disk, to see whether it can be read, and giving up
 * what cannot.
 *
 * It goes in slices: each is a job of the slow thread, which puts itself last
 * again, so what is done by hand meanwhile waits for a moment at most. What
 * was noted as unreadable may be written anew before it is looked at.
 */
#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/page.h"
#include "fs/later.h"
#include "fs/pause.h"
#include "fs/spill_inside.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SLICE_NS (NS_PER_S / 5)
/* Pages between two looks whether to go on. */
#define STEP_PAGES 4096u

struct scrub_job {
	struct later_job job;
	struct spiller *spiller;
	struct spill_reader *reader;
	bool give_up;
	uint32_t ix; /* where to go on */
	uint64_t page;
	uint64_t end_ns; /* of the slice */
};

/* --- what was found --- */

static void note_page(struct spill_scrub *scrub, uint32_t ix, uint64_t page)
{
	struct spill_found *last =
		scrub->n_found ? &scrub->found[scrub->n_found - 1] : NULL;

	scrub->unreadable++;
	if (last && last->ix == ix && last->last + 1 == page) {
		last->last = page;
		return;
	}
	if (scrub->n_found < SPILL_FOUND_MOST)
		scrub->found[scrub->n_found++] =
			(struct spill_found){ix, page, page};
}

static void on_unreadable(void *arg, struct file file, uint64_t page)
{
	struct scrub_job *j = arg;

	lock_take(&j->spiller->lock);
	note_page(&j->spiller->scrub, file.ix, page);
	lock_drop(&j->spiller->lock);
	if (j->give_up)
		log_limited(LOG_AT_WARNING,
			    "spill: inode %" PRIu32 ", page %" PRIu64
			    " is given up",
			    file.ix, page);
}

static void note_pages(struct scrub_job *j, uint64_t pages)
{
	lock_take(&j->spiller->lock);
	j->spiller->scrub.pages += pages;
	lock_drop(&j->spiller->lock);
}

/* --- a slice --- */

static bool is_called_off(const struct scrub_job *j)
{
	struct spiller *s = j->spiller;

	return atomic_load_explicit(&s->scrub_stop, memory_order_relaxed) ||
	       atomic_load_explicit(&s->cancelled, memory_order_relaxed) ||
	       atomic_load_explicit(&s->called_off, memory_order_relaxed);
}

static void scrub_file(void *arg, struct file file)
{
	struct scrub_job *j = arg;
	struct fs *fs = j->spiller->fs;
	struct spill_scan what = {
		.how = j->give_up ? SPILL_SCAN_GIVE_UP : SPILL_SCAN_READ,
		.unreadable = on_unreadable,
		.arg = j,
	};
	struct spill_scanned scanned;

	while (j->page != UINT64_MAX && clock_ns() < j->end_ns &&
	       !is_called_off(j)) {
		uint64_t end = j->page + STEP_PAGES;

		pause_point(fs->pause, PAUSE_SERVING);
		/* It fails for want of room alone, and needs none. */
		(void)!store_spill_scan(j->reader, file, j->page, end, &what,
					&scanned);
		note_pages(j, scanned.pages + scanned.unreadable);
		j->page = spill_next_held(fs->engine.store, file, end);
	}
}

/* True: there is more. */
static bool slice(struct scrub_job *j)
{
	struct tree *tree = j->spiller->fs->engine.tree;

	j->end_ns = clock_ns() + SLICE_NS;
	while (j->ix < tree_files_end(tree)) {
		bool is_file = tree_with_file(tree, TALLY_SHARED_ROW, j->ix,
					      scrub_file, j);

		if (clock_ns() >= j->end_ns || is_called_off(j))
			return true;
		if (is_file && j->page != UINT64_MAX)
			return true;
		j->ix++;
		j->page = 0;
	}
	return false;
}

static void end(struct scrub_job *j, enum spill_scrub_state state)
{
	struct spiller *s = j->spiller;

	spill_reader_free(j->reader);
	lock_take(&s->lock);
	s->scrub.state = state;
	lock_drop(&s->lock);
}

static void run(struct fs *fs, struct later_job *job)
{
	struct scrub_job *j = container_of(job, struct scrub_job, job);
	bool more = slice(j);
	struct scrub_job *next;

	if (!more || is_called_off(j)) {
		end(j, more ? SPILL_SCRUB_STOPPED : SPILL_SCRUB_DONE);
		return;
	}
	next = heap_alloc(sizeof(*next));
	if (!next) {
		end(j, SPILL_SCRUB_STOPPED);
		return;
	}
	*next = *j;
	later_post(fs->slow, &next->job);
}

static void cancel(struct fs *fs UNUSED, struct later_job *job)
{
	end(container_of(job, struct scrub_job, job), SPILL_SCRUB_STOPPED);
}

/* --- from outside --- */

static int begin(struct spiller *s, bool give_up)
{
	struct store_stats stats;
	int r = 0;

	store_stats(s->fs->engine.store, &stats);
	lock_take(&s->lock);
	if (s->scrub.state == SPILL_SCRUB_RUNS)
		r = -EBUSY;
	else
		s->scrub = (struct spill_scrub){
			.state = SPILL_SCRUB_RUNS,
			.all = stats.spilled_pages,
			.give_up = give_up,
		};
	lock_drop(&s->lock);
	return r;
}

static int start(struct spiller *s, bool give_up)
{
	struct scrub_job *j;
	int r = begin(s, give_up);

	if (r)
		return r;
	j = heap_zalloc(1, sizeof(*j));
	if (j)
		r = spill_reader_new(s->fs->engine.store, &j->reader);
	if (!j || r) {
		heap_free(j);
		lock_take(&s->lock);
		s->scrub.state = SPILL_SCRUB_NEVER;
		lock_drop(&s->lock);
		return -ENOMEM;
	}
	atomic_store_explicit(&s->scrub_stop, false, memory_order_relaxed);
	j->job.run = run;
	j->job.cancel = cancel;
	j->spiller = s;
	j->give_up = give_up;
	later_post(s->fs->slow, &j->job);
	return 0;
}

int spiller_scrub(struct spiller *s, const char *word)
{
	bool give_up = strcmp(word, "give_up") == 0;

	if (strcmp(word, "stop") == 0) {
		atomic_store_explicit(&s->scrub_stop, true,
				      memory_order_relaxed);
		return 0;
	}
	if (!give_up && strcmp(word, "read") != 0)
		return -EINVAL;
	if (!backing_is_open(s->fs->engine.backing))
		return -ENODEV;
	return start(s, give_up);
}

static unsigned percent(const struct spill_scrub *scrub)
{
	uint64_t done = scrub->pages < scrub->all ? scrub->pages : scrub->all;

	return scrub->all ? (unsigned)(done * 100 / scrub->all) : 100;
}

void spill_scrub_text(const struct spill_scrub *scrub,
		      char text[SPILL_SCRUB_MAX])
{
	const char *what = scrub->give_up ? "given up" : "unreadable";

	switch (scrub->state) {
	case SPILL_SCRUB_NEVER:
		snprintf(text, SPILL_SCRUB_MAX, "none");
		break;
	case SPILL_SCRUB_RUNS:
		snprintf(text, SPILL_SCRUB_MAX, "reading %u%%", percent(scrub));
		break;
	default:
		snprintf(text, SPILL_SCRUB_MAX,
			 "%s %" PRIu64 " pages, %" PRIu64 " %s",
			 scrub->state == SPILL_SCRUB_DONE ? "done" : "stopped",
			 scrub->pages, scrub->unreadable, what);
	}
}

void spill_found_text(const struct spill_scrub *scrub,
		      char text[SPILL_FOUND_MAX])
{
	int n = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < scrub->n_found; i++)
		n += snprintf(text + n, SPILL_FOUND_MAX - (size_t)n,
			      "%s%" PRIu32 ":%" PRIu64 "-%" PRIu64,
			      i ? " " : "", scrub->found[i].ix,
			      scrub->found[i].first, scrub->found[i].last);
	if (n == 0)
		snprintf(text, SPILL_FOUND_MAX, "none");
}
