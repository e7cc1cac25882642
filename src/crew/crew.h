/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The crew: a fixed array of worker slots that come and go like CPUs, after
 * the kernel's CPU hotplug.
 *
 * A slot passes an ordered list of states; each has a way up, which may fail
 * and then what was built is unwound, and a way down, which may not. The last
 * step of going up is the worker's thread. Retirement travels as work: the
 * slot's leave descriptor becomes readable and the worker returns at its
 * loop's edge; nothing is ever cancelled. Knows no codec and no FUSE.
 *
 *	OFFLINE -> COMING	crew_set(), crew_change(): steps go up
 *	COMING  -> OFFLINE	a step or the thread failed: unwound
 *	COMING  -> RUNNING	the thread is there
 *	RUNNING -> LEAVING	crew_set(), crew_change(), crew_stop()
 *	RUNNING -> ENDED	run() returned by itself
 *	LEAVING -> OFFLINE	thread joined, steps went down
 *	ENDED   -> OFFLINE	the same, at the next change or stop
 *
 * Steps run in the thread that asked for the change, never two at once. No
 * lock but the request lock is held over them, so they may take any lock of
 * a higher rank than LOCK_CREW_STATE and may read the crew's numbers.
 */
#ifndef SRC_CREW_CREW_H
#define SRC_CREW_CREW_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CREW_MAX 64

/* One step between offline and running: "subsystem:what". */
struct crew_step {
	const char *name;
	int (*up)(void *arg, unsigned slot);    /* 0 or -errno; may be NULL */
	void (*down)(void *arg, unsigned slot); /* cannot fail; may be NULL */
};

struct crew_ops {
	const struct crew_step *steps; /* in the order of going up */
	unsigned nr_steps;
	/* The worker: returns when crew_leaving(); runs in its own thread with
	 * all signals blocked. Returning earlier makes the slot ENDED. */
	void (*run)(void *arg, unsigned slot);
};

enum crew_slot_state {
	CREW_OFFLINE,
	CREW_COMING,  /* steps are going up */
	CREW_RUNNING, /* its thread runs */
	CREW_LEAVING, /* told to leave; steps go down after the thread */
	CREW_ENDED    /* run() returned by itself: session over or error */
};

struct crew;

/* No worker yet. -ENOMEM, -EMFILE. */
int crew_new(const struct crew_ops *ops, void *arg,
	     struct crew **ret) MUST_CHECK;
/* Every worker must have gone (crew_stop()). */
void crew_free(struct crew *crew);

/*
 * Bring the number of workers to @target (1 to CREW_MAX), one slot after the
 * other, lowest free slot first up and highest first down. Returns when they
 * run or are gone. -EBUSY: @target 0 (the last worker cannot be removed),
 * -EINVAL: above CREW_MAX, -ESHUTDOWN: the crew is stopping, else what a step
 * said, -EAGAIN for the thread (then as many run as came up). Not from a
 * worker's own thread: that is an invariant, for it might have to wait for
 * itself; a worker hands the wish to another thread. One change at a time;
 * others wait.
 */
int crew_set(struct crew *crew, unsigned target) MUST_CHECK;
/* The same relative to what runs when its turn comes; all or nothing at the
 * ends: -EBUSY when none would be left, -EINVAL when too many. */
int crew_change(struct crew *crew, int by) MUST_CHECK;
/* Tell all to leave, wait for them, refuse every later change; one that is
 * under way stops at its next step. Idempotent. Not from a worker. */
void crew_stop(struct crew *crew);
/* Block until every running worker has ended by itself or crew_stop(). */
void crew_wait_ended(struct crew *crew);
/* True in a worker's own thread, of any crew. */
bool crew_in_worker(void);

unsigned crew_count(struct crew *crew); /* running */

/* --- for the worker --- */
bool crew_leaving(struct crew *crew, unsigned slot);
/* Readable once the slot is to leave: for poll(). Open as long as the crew. */
int crew_leave_fd(struct crew *crew, unsigned slot);

struct crew_slot_info {
	enum crew_slot_state state;
	pid_t tid;         /* 0: no thread */
	uint64_t times_up; /* how often it has come up */
	/* The last failure to come up: the step's name, or "crew:thread";
	 * NULL: none since it last came up. */
	const char *failed_step;
	int failed_with; /* negative errno */
};
struct crew_slot_info crew_slot_info(struct crew *crew, unsigned slot);
const char *crew_state_name(enum crew_slot_state state);

#endif
