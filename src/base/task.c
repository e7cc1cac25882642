/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One background thread: check under the lock, work without it.
 *
 *	         check true
 *	  check ------------> work ----+
 *	  ^   ^                        |
 *	  |   +------------------------+
 *	  | woken, interval over
 *	  +------ sleep <---- check false
 *
 * A cycle is one check and the work it asked for. `woken` is cleared in the
 * same hold of the lock in which check runs, and a sleep begins in that hold
 * too, so a wake-up either is seen by check or ends the sleep.
 */
#include "base/task.h"
#include "base/clock.h"
#include "base/heap.h"
#include "base/lock.h"
#include "base/resident.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

struct task {
	struct lock lock;
	struct cond wake;
	struct cond cycled;
	struct task_ops ops;
	void *arg;
	pthread_t thread;
	bool woken GUARDED_BY(lock);
	uint64_t begun GUARDED_BY(lock); /* number of the latest cycle */
	uint64_t ended GUARDED_BY(lock); /* the latest that is over */
	/* Set under the lock (a sleep sees it), read without it by work. */
	_Atomic bool cancelled;
};

bool task_cancelled(struct task *task)
{
	return atomic_load_explicit(&task->cancelled, memory_order_relaxed);
}

static void cycle(struct task *task) REQUIRES(task->lock)
{
	task->woken = false;
	task->begun++;
	while (task->ops.check(task->arg) && !task_cancelled(task)) {
		lock_drop(&task->lock);
		task->ops.work(task, task->arg);
		lock_take(&task->lock);
		task->ended = task->begun++;
		task->woken = false;
		cond_broadcast(&task->cycled);
	}
	task->ended = task->begun;
	cond_broadcast(&task->cycled);
}

static void sleep_till_woken(struct task *task) REQUIRES(task->lock)
{
	uint64_t interval_ns = task->ops.sleep_ns
				       ? task->ops.sleep_ns(task->arg)
				       : task->ops.interval_ns;
	uint64_t deadline_ns = clock_ns() + interval_ns;

	while (!task->woken && !task_cancelled(task)) {
		if (interval_ns == 0)
			cond_wait(&task->wake, &task->lock);
		else if (!cond_wait_until(&task->wake, &task->lock,
					  deadline_ns))
			return;
	}
}

static void *task_main(void *arg)
{
	struct task *task = arg;

	pthread_setname_np(pthread_self(), task->ops.name);
	resident_stack();
	lock_take(&task->lock);
	while (!task_cancelled(task)) {
		cycle(task);
		sleep_till_woken(task);
	}
	/* Whoever still waits for a cycle shall not wait for ever. */
	task->ended = UINT64_MAX;
	cond_broadcast(&task->cycled);
	lock_drop(&task->lock);
	return NULL;
}

static void task_destroy(struct task *task)
{
	cond_fini(&task->cycled);
	cond_fini(&task->wake);
	lock_fini(&task->lock);
	heap_free(task);
}

int task_start(const struct task_ops *ops, void *arg, struct task **ret_task)
{
	struct task *task = heap_zalloc(1, sizeof(*task));
	sigset_t all, old;
	int r;

	if (!task)
		return -ENOMEM;
	lock_init(&task->lock, LOCK_TASK);
	cond_init(&task->wake);
	cond_init(&task->cycled);
	task->ops = *ops;
	task->arg = arg;
	/* The thread inherits the mask: no signal may pick it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&task->thread, NULL, task_main, task);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0) {
		task_destroy(task);
		return -r;
	}
	*ret_task = task;
	return 0;
}

void task_stop(struct task *task)
{
	if (!task)
		return;
	lock_take(&task->lock);
	atomic_store_explicit(&task->cancelled, true, memory_order_relaxed);
	cond_signal(&task->wake);
	lock_drop(&task->lock);
	pthread_join(task->thread, NULL);
	task_destroy(task);
}

void task_wake(struct task *task)
{
	lock_take(&task->lock);
	task->woken = true;
	cond_signal(&task->wake);
	lock_drop(&task->lock);
}

void task_wait_cycle(struct task *task)
{
	uint64_t wanted;

	lock_take(&task->lock);
	/* One that is under way may have looked before the caller's change. */
	wanted = task->begun + 1;
	task->woken = true;
	cond_signal(&task->wake);
	while (task->ended < wanted)
		cond_wait(&task->cycled, &task->lock);
	lock_drop(&task->lock);
}
