/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The background task that keeps house.
 *
 * A pass walks every file, so one that found nothing to gain must not begin
 * again at once: passes are apart by at least as long as the last one took
 * (and a second), except when someone waits for room.
 */
#include "fs/tidy.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/task.h"
#include "fs/pause.h"
#include "fs/worker.h"
#include <errno.h>

/* After a pass that was not enough, besides twice what it took: a third of a
 * CPU at most goes into it. */
#define MORE_NS (NS_PER_S / 5)

struct tidy {
	struct fs *fs;
	struct task *task;
	_Atomic bool wanted;
	/* The task's own. */
	uint64_t not_before_ns;
};

static bool check(void *arg)
{
	struct tidy *tidy = arg;

	return atomic_load_explicit(&tidy->wanted, memory_order_relaxed) ||
	       clock_ns() >= tidy->not_before_ns;
}

struct pass {
	struct fs *fs;
	struct task *task;
};

static bool compact(void *arg, struct file file)
{
	struct pass *pass = arg;
	struct engine *e = &pass->fs->engine;
	struct stream *stream = stream_get(e->streams, 0);

	if (!stream)
		return false;
	store_compact_body(e->store, stream, file);
	stream_put(e->streams, stream);
	/* A pass is cut short for a pause, not held in the middle of one. */
	return !task_cancelled(pass->task) &&
	       !pause_is_asked(pass->fs->pause, PAUSE_TIDYING);
}

static void work(struct task *task, void *arg)
{
	struct tidy *tidy = arg;
	struct engine *e = &tidy->fs->engine;
	struct pass pass = {.fs = tidy->fs, .task = task};
	uint64_t begun_ns = clock_ns(), took_ns;
	bool more = false;

	pause_enter(tidy->fs->pause, PAUSE_TIDYING);
	atomic_store_explicit(&tidy->wanted, false, memory_order_relaxed);
	streams_reap(e->streams, begun_ns);
	sets_sweep(e->sets);
	if (store_wants_compaction(e->store) && store_compact_begin(e->store)) {
		tree_each_body(e->tree, TALLY_SHARED_ROW, compact, &pass);
		store_compact_end(e->store);
		more = store_wants_compaction(e->store);
	}
	took_ns = clock_ns() - begun_ns;
	tidy->not_before_ns =
		clock_ns() + (more ? MORE_NS + 2 * took_ns : NS_PER_S);
	pause_leave(tidy->fs->pause, PAUSE_TIDYING);
}

static const struct task_ops ops = {
	.name = "foldfs-tidy",
	.check = check,
	.work = work,
	.interval_ns = NS_PER_S,
};

int tidy_start(struct fs *fs, struct tidy **ret)
{
	struct tidy *tidy = heap_zalloc(1, sizeof(*tidy));
	int r;

	if (!tidy)
		return -ENOMEM;
	tidy->fs = fs;
	r = task_start(&ops, tidy, &tidy->task);
	if (r) {
		heap_free(tidy);
		return r;
	}
	*ret = tidy;
	return 0;
}

void tidy_stop(struct tidy *tidy)
{
	if (!tidy)
		return;
	task_stop(tidy->task);
	heap_free(tidy);
}

void tidy_now(struct tidy *tidy)
{
	atomic_store_explicit(&tidy->wanted, true, memory_order_relaxed);
	task_wait_cycle(tidy->task);
}
