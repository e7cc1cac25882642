/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests that are answered from a background thread. */
#include "fs/later.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/task.h"
#include "fs/autoscale.h"
#include "fs/pause.h"
#include "fs/reply.h"
#include "fs/worker.h"
#include <errno.h>

struct later {
	struct fs *fs;
	enum later_kind kind;
	struct task *task;
	struct lock lock; /* the list; leaf */
	struct later_job *first GUARDED_BY(lock);
	struct later_job **end GUARDED_BY(lock);
	bool held GUARDED_BY(lock); /* no more is begun */
	uint64_t next_sample_ns;    /* the task's own */
};

static struct later_job *take_first(struct later *later)
{
	struct later_job *job;

	lock_take(&later->lock);
	job = later->first;
	if (job) {
		later->first = job->next;
		if (!later->first)
			later->end = &later->first;
	}
	lock_drop(&later->lock);
	return job;
}

static struct later_job *next_job(struct later *later)
{
	bool held;

	lock_take(&later->lock);
	held = later->held;
	lock_drop(&later->lock);
	return held ? NULL : take_first(later);
}

static bool check(void *arg)
{
	struct later *later = arg;
	bool any;

	lock_take(&later->lock);
	any = later->first != NULL && !later->held;
	lock_drop(&later->lock);
	return any || (later->kind == LATER_QUICK &&
		       clock_ns() >= later->next_sample_ns);
}

/* A pause waits for what takes minutes, which comes by in between; whoever asks
 * for one is a job of the quick kind. */
static void run(struct later *later, struct later_job *job)
{
	struct pause *pause = later->fs->pause;

	if (later->kind == LATER_SLOW)
		pause_enter(pause, PAUSE_SERVING);
	job->run(later->fs, job);
	if (later->kind == LATER_SLOW)
		pause_leave(pause, PAUSE_SERVING);
	heap_free(job);
}

static void work(struct task *task, void *arg)
{
	struct later *later = arg;
	struct later_job *job;
	struct worker me = {.fs = later->fs, .slot = TALLY_SHARED_ROW};

	worker_now = &me;
	while (!task_cancelled(task) && (job = next_job(later))) {
		me.fd = job->fd;
		me.entry = job->entry;
		run(later, job);
	}
	if (later->kind == LATER_QUICK && !task_cancelled(task)) {
		autoscale_step(later->fs);
		/* Kept streams may have gone meanwhile. */
		workers_charge(later->fs);
	}
	worker_now = NULL;
	later->next_sample_ns = clock_ns() + AUTOSCALE_INTERVAL_NS;
}

static const struct task_ops ops[] = {
	[LATER_QUICK] =
		{
			.name = "foldfs-later",
			.check = check,
			.work = work,
			.interval_ns = AUTOSCALE_INTERVAL_NS,
		},
	[LATER_SLOW] =
		{
			.name = "foldfs-slow",
			.check = check,
			.work = work,
		},
};

int later_start(struct fs *fs, enum later_kind kind, struct later **ret)
{
	struct later *later = heap_zalloc(1, sizeof(*later));
	int r;

	if (!later)
		return -ENOMEM;
	later->fs = fs;
	later->kind = kind;
	later->end = &later->first;
	lock_init(&later->lock, LOCK_LEAF);
	r = task_start(&ops[kind], later, &later->task);
	if (r) {
		lock_fini(&later->lock);
		heap_free(later);
		return r;
	}
	*ret = later;
	return 0;
}

void later_stop(struct later *later)
{
	struct later_job *job;
	struct worker me;

	if (!later)
		return;
	task_stop(later->task);
	me = (struct worker){.fs = later->fs, .slot = TALLY_SHARED_ROW};
	worker_now = &me;
	while ((job = take_first(later))) {
		me.fd = job->fd;
		me.entry = job->entry;
		if (job->req)
			reply_result(job->req, -EINTR);
		else
			job->cancel(later->fs, job);
		heap_free(job);
	}
	worker_now = NULL;
	lock_fini(&later->lock);
	heap_free(later);
}

void later_hold(struct later *later)
{
	lock_take(&later->lock);
	later->held = true;
	lock_drop(&later->lock);
	task_wait_cycle(later->task);
}

static void put_last(struct later *later, struct later_job *job)
{
	job->next = NULL;
	lock_take(&later->lock);
	*later->end = job;
	later->end = &job->next;
	lock_drop(&later->lock);
	task_wake(later->task);
}

void later_add(struct later *later, fuse_req_t req, struct later_job *job)
{
	job->req = req;
	job->fd = worker_now->fd;
	job->entry = worker_now->entry;
	put_last(later, job);
}

void later_post(struct later *later, struct later_job *job)
{
	job->req = NULL;
	job->fd = -1;
	job->entry = NULL;
	put_last(later, job);
}
