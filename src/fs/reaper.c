/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The background task that frees what discards only unhook. */
#include "fs/reaper.h"
#include "base/heap.h"
#include "base/task.h"
#include <errno.h>

struct reaper {
	struct store *store;
	struct task *task;
};

static bool check(void *arg)
{
	const struct reaper *reaper = arg;

	return store_owes(reaper->store);
}

static void work(struct task *task, void *arg)
{
	struct reaper *reaper = arg;

	while (!task_cancelled(task) && store_owes(reaper->store))
		store_settle(reaper->store, TALLY_SHARED_ROW);
}

static const struct task_ops ops = {
	.name = "foldfs-reaper",
	.check = check,
	.work = work,
};

int reaper_start(struct fs *fs, struct reaper **ret)
{
	struct reaper *reaper = heap_zalloc(1, sizeof(*reaper));
	int r;

	if (!reaper)
		return -ENOMEM;
	reaper->store = fs->engine.store;
	r = store_pay_later(reaper->store);
	if (!r)
		r = task_start(&ops, reaper, &reaper->task);
	if (r) {
		heap_free(reaper);
		return r;
	}
	*ret = reaper;
	return 0;
}

void reaper_stop(struct reaper *reaper)
{
	if (!reaper)
		return;
	task_stop(reaper->task);
	heap_free(reaper);
}

void reaper_wake(struct reaper *reaper)
{
	if (reaper && store_owes(reaper->store))
		task_wake(reaper->task);
}
