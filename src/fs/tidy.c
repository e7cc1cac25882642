/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The background task that keeps house.
 *
 * A pass walks every file, so passes are apart by twice as long as the last one
 * took, and looks for something to gain get rarer where there is nothing, except
 * when someone waits for room.
 */
#include "fs/tidy.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/task.h"
#include "fs/pause.h"
#include "fs/worker.h"
#include <errno.h>

/*
 * After a pass that moved something, besides twice what it took: a third of a
 * CPU at most goes into it. Who overwrites goes on doing so; as long as there is
 * nothing to move the look after it comes twice as late, up to LAZY_NS.
 */
#define SOON_NS (NS_PER_S / 10)
#define LAZY_NS NS_PER_S

struct tidy {
	struct fs *fs;
	struct task *task;
	_Atomic bool wanted;
	/* The task's own. */
	uint64_t wait_ns;
	uint64_t not_before_ns;
};

static bool check(void *arg)
{
	struct tidy *tidy = arg;

	return atomic_load_explicit(&tidy->wanted, memory_order_relaxed) ||
	       clock_ns() >= tidy->not_before_ns;
}

/* To the next pass: a fixed interval would make short ones long. */
static uint64_t sleep_ns(void *arg)
{
	const struct tidy *tidy = arg;
	uint64_t now_ns = clock_ns();

	return now_ns < tidy->not_before_ns ? tidy->not_before_ns - now_ns : 1;
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

static uint64_t lazier(uint64_t wait_ns)
{
	return wait_ns > LAZY_NS / 2 ? LAZY_NS : 2 * wait_ns;
}

static void work(struct task *task, void *arg)
{
	struct tidy *tidy = arg;
	struct engine *e = &tidy->fs->engine;
	struct pass pass = {.fs = tidy->fs, .task = task};
	uint64_t begun_ns = clock_ns();

	pause_enter(tidy->fs->pause, PAUSE_TIDYING);
	atomic_store_explicit(&tidy->wanted, false, memory_order_relaxed);
	streams_reap(e->streams, begun_ns);
	sets_sweep(e->sets);
	if (store_wants_compaction(e->store) && store_compact_begin(e->store)) {
		tree_each_body(e->tree, TALLY_SHARED_ROW, compact, &pass);
		store_compact_end(e->store);
		tidy->wait_ns = SOON_NS + 2 * (clock_ns() - begun_ns);
	} else {
		tidy->wait_ns = lazier(tidy->wait_ns);
	}
	tidy->not_before_ns = clock_ns() + tidy->wait_ns;
	pause_leave(tidy->fs->pause, PAUSE_TIDYING);
}

static const struct task_ops ops = {
	.name = "foldfs-tidy",
	.check = check,
	.work = work,
	.sleep_ns = sleep_ns,
};

int tidy_start(struct fs *fs, struct tidy **ret)
{
	struct tidy *tidy = heap_zalloc(1, sizeof(*tidy));
	int r;

	if (!tidy)
		return -ENOMEM;
	tidy->fs = fs;
	tidy->wait_ns = LAZY_NS;
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
