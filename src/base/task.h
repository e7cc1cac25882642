/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One background thread with a check and a work function, after OpenZFS's
 * zthr: wakeable, cancellable, waitable, without races.
 *
 * @check runs under the task's lock and says whether there is work; it must
 * not block nor take any lock of lower rank. @work runs without the lock and
 * asks task_cancelled() between its steps. A wake-up that arrives while work
 * runs makes check run again after it: none is lost.
 */
#ifndef SRC_BASE_TASK_H
#define SRC_BASE_TASK_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stdint.h>

struct task;

struct task_ops {
	const char *name; /* thread name, at most 15 characters */
	bool (*check)(void *arg);
	void (*work)(struct task *task, void *arg);
	uint64_t interval_ns; /* check also this often; 0: only on wake-up */
	/* Instead, where it changes: asked before each sleep, with the task's
	 * lock held. */
	uint64_t (*sleep_ns)(void *arg);
};

/* -ENOMEM, -EAGAIN (no thread). Signals are blocked in the thread. */
int task_start(const struct task_ops *ops, void *arg,
	       struct task **ret_task) MUST_CHECK;
/* Asks work to end, waits for the thread, frees. NULL is fine. */
void task_stop(struct task *task);
void task_wake(struct task *task);
/* Waits until a whole cycle that began after this call has ended, or until
 * there was nothing to do. Never from the task itself. */
void task_wait_cycle(struct task *task);
bool task_cancelled(struct task *task);

#endif
