/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Worker slots: who may change them, their threads, and their end.
 *
 * Two locks. The request lock is held over a whole change, steps and joins
 * included, so a thread is joined by exactly one requester. The state lock
 * guards the states and is held for moments; a worker that ends by itself
 * takes only that, so it never waits for a requester that waits for it.
 */
#include "crew/crew.h"
#include "base/check.h"
#include "base/heap.h"
#include "base/lock.h"
#include "base/resident.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Address space only; handlers and codecs keep their tables elsewhere. */
#define STACK_BYTES (1u << 20)

struct slot {
	struct crew *crew;
	unsigned ix;
	int leave_fd;
	pthread_t thread; /* requester's, between create and join */
	enum crew_slot_state state GUARDED_BY(crew->state);
	pid_t tid GUARDED_BY(crew->state);
	uint64_t times_up GUARDED_BY(crew->state);
	const char *failed_step GUARDED_BY(crew->state);
	int failed_with GUARDED_BY(crew->state);
	_Atomic bool leaving; /* the same as leave_fd, without a system call */
};

struct crew {
	struct crew_ops ops;
	void *arg;
	struct lock request;
	struct lock state;
	struct cond changed; /* a slot's state, or stopping */
	bool stopping GUARDED_BY(state);
	struct slot slot[CREW_MAX];
};

static _Thread_local bool in_worker;

bool crew_in_worker(void)
{
	return in_worker;
}

/* --- life of the crew --- */

static void close_leave_fds(struct crew *crew)
{
	for (unsigned i = 0; i < CREW_MAX; i++)
		if (crew->slot[i].leave_fd >= 0)
			close(crew->slot[i].leave_fd);
}

static int open_leave_fds(struct crew *crew)
{
	for (unsigned i = 0; i < CREW_MAX; i++) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd < 0)
			return -errno;
		crew->slot[i].leave_fd = fd;
	}
	return 0;
}

int crew_new(const struct crew_ops *ops, void *arg, struct crew **ret)
{
	struct crew *crew = heap_zalloc(1, sizeof(*crew));
	int r;

	if (!crew)
		return -ENOMEM;
	crew->ops = *ops;
	crew->arg = arg;
	for (unsigned i = 0; i < CREW_MAX; i++) {
		crew->slot[i].crew = crew;
		crew->slot[i].ix = i;
		crew->slot[i].leave_fd = -1;
	}
	r = open_leave_fds(crew);
	if (r < 0) {
		close_leave_fds(crew);
		heap_free(crew);
		return r;
	}
	lock_init(&crew->request, LOCK_CREW_REQUEST);
	lock_init(&crew->state, LOCK_CREW_STATE);
	cond_init(&crew->changed);
	*ret = crew;
	return 0;
}

void crew_free(struct crew *crew)
{
	if (!crew)
		return;
	for (unsigned i = 0; i < CREW_MAX; i++)
		invariant(crew->slot[i].state == CREW_OFFLINE);
	close_leave_fds(crew);
	cond_fini(&crew->changed);
	lock_fini(&crew->state);
	lock_fini(&crew->request);
	heap_free(crew);
}

/* --- states --- */

static void set_state(struct slot *slot, enum crew_slot_state state)
{
	lock_take(&slot->crew->state);
	slot->state = state;
	cond_broadcast(&slot->crew->changed);
	lock_drop(&slot->crew->state);
}

static bool is_stopping(struct crew *crew)
{
	bool stopping;

	lock_take(&crew->state);
	stopping = crew->stopping;
	lock_drop(&crew->state);
	return stopping;
}

static unsigned count_locked(struct crew *crew, enum crew_slot_state state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CREW_MAX; i++)
		n += crew->slot[i].state == state;
	return n;
}

/* The lowest or highest slot in @state; NULL: none. */
static struct slot *find_slot(struct crew *crew, enum crew_slot_state state,
			      bool highest)
{
	struct slot *found = NULL;

	lock_take(&crew->state);
	for (unsigned i = 0; i < CREW_MAX && (highest || !found); i++)
		if (crew->slot[i].state == state)
			found = &crew->slot[i];
	lock_drop(&crew->state);
	return found;
}

/* The flag first: who wakes by the descriptor finds it set. */
static void leave_locked(struct slot *slot)
{
	uint64_t one = 1;
	ssize_t n;

	slot->state = CREW_LEAVING;
	atomic_store_explicit(&slot->leaving, true, memory_order_release);
	n = write(slot->leave_fd, &one, sizeof(one));
	invariant(n == sizeof(one));
	cond_broadcast(&slot->crew->changed);
}

/* --- the worker's thread --- */

static void *slot_main(void *arg)
{
	struct slot *slot = arg;
	struct crew *crew = slot->crew;
	char name[16];

	in_worker = true;
	resident_stack();
	snprintf(name, sizeof(name), "foldfs/%u", slot->ix);
	pthread_setname_np(pthread_self(), name);

	lock_take(&crew->state);
	slot->tid = gettid();
	slot->times_up++;
	slot->failed_step = NULL;
	slot->failed_with = 0;
	slot->state = CREW_RUNNING;
	/* A stop that came while the slot was COMING did not see it. */
	if (crew->stopping)
		leave_locked(slot);
	cond_broadcast(&crew->changed);
	lock_drop(&crew->state);

	crew->ops.run(crew->arg, slot->ix);

	lock_take(&crew->state);
	slot->tid = 0;
	if (slot->state == CREW_RUNNING)
		slot->state = CREW_ENDED;
	cond_broadcast(&crew->changed);
	lock_drop(&crew->state);
	return NULL;
}

/* A thread inherits its creator's signal mask: block all around it. */
static int create_thread(struct slot *slot)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int r;

	r = pthread_attr_init(&attr);
	if (r != 0)
		return -r;
	invariant(pthread_attr_setstacksize(&attr, STACK_BYTES) == 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&slot->thread, &attr, slot_main, slot);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

/* --- one slot up, one slot down --- */

/* Undoes the first @n steps, last one first. */
static void steps_down(struct slot *slot, unsigned n)
{
	const struct crew_ops *ops = &slot->crew->ops;

	while (n-- > 0)
		if (ops->steps[n].down)
			ops->steps[n].down(slot->crew->arg, slot->ix);
}

/* 0, or a negative errno with the failed step undone down to none. */
static int steps_up(struct slot *slot, const char **ret_failed)
{
	const struct crew_ops *ops = &slot->crew->ops;

	for (unsigned i = 0; i < ops->nr_steps; i++) {
		int r = is_stopping(slot->crew) ? -ESHUTDOWN : 0;

		if (r == 0 && ops->steps[i].up)
			r = ops->steps[i].up(slot->crew->arg, slot->ix);
		if (r == 0)
			continue;
		invariant(r < 0);
		steps_down(slot, i);
		*ret_failed = ops->steps[i].name;
		return r;
	}
	return 0;
}

static int start_thread(struct slot *slot)
{
	struct crew *crew = slot->crew;
	int r;

	atomic_store_explicit(&slot->leaving, false, memory_order_relaxed);
	r = create_thread(slot);
	if (r < 0)
		return r;
	lock_take(&crew->state);
	while (slot->state == CREW_COMING)
		cond_wait(&crew->changed, &crew->state);
	lock_drop(&crew->state);
	return 0;
}

static int slot_up(struct slot *slot)
{
	struct crew *crew = slot->crew;
	const char *failed = "crew:thread";
	int r;

	set_state(slot, CREW_COMING);
	r = steps_up(slot, &failed);
	if (r == 0) {
		r = start_thread(slot);
		if (r < 0)
			steps_down(slot, crew->ops.nr_steps);
	}
	if (r < 0) {
		lock_take(&crew->state);
		slot->failed_step = failed;
		slot->failed_with = r;
		slot->state = CREW_OFFLINE;
		cond_broadcast(&crew->changed);
		lock_drop(&crew->state);
	}
	return r;
}

/* The thread has been told to leave or has ended: join, then unwind. */
static void slot_reap(struct slot *slot)
{
	uint64_t drained;

	invariant(pthread_join(slot->thread, NULL) == 0);
	/* Empty when it ended by itself; the next worker must find it so. */
	(void)!read(slot->leave_fd, &drained, sizeof(drained));
	steps_down(slot, slot->crew->ops.nr_steps);
	set_state(slot, CREW_OFFLINE);
}

static void slot_down(struct slot *slot)
{
	struct crew *crew = slot->crew;

	lock_take(&crew->state);
	/* It may have ended, or a stop told it, since it was picked. */
	if (slot->state == CREW_RUNNING)
		leave_locked(slot);
	lock_drop(&crew->state);
	slot_reap(slot);
}

/* --- changes --- */

static void reap_ended(struct crew *crew)
{
	struct slot *slot;

	while ((slot = find_slot(crew, CREW_ENDED, true)))
		slot_reap(slot);
}

static int step_towards(struct crew *crew, unsigned target, unsigned running)
{
	struct slot *slot;

	if (running < target) {
		slot = find_slot(crew, CREW_OFFLINE, false);
		/* All 64 in use: one must have ended since we looked. */
		if (!slot)
			return 0;
		return slot_up(slot);
	}
	slot = find_slot(crew, CREW_RUNNING, true);
	if (slot)
		slot_down(slot);
	return 0;
}

/*
 * One slot at a time, counting anew. Slots that come up and end at once (the
 * session is over) must not make this run for ever: no more ups than asked.
 */
static int set_locked(struct crew *crew, unsigned target)
{
	unsigned ups_left = target;
	int r = 0;

	while (r == 0) {
		unsigned running;

		if (is_stopping(crew))
			return -ESHUTDOWN;
		reap_ended(crew);
		running = crew_count(crew);
		if (running == target || (running < target && ups_left == 0))
			break;
		ups_left -= running < target;
		r = step_towards(crew, target, running);
	}
	return r;
}

static int check_target(struct crew *crew, long target)
{
	if (is_stopping(crew))
		return -ESHUTDOWN;
	if (target <= 0)
		return -EBUSY;
	return target > CREW_MAX ? -EINVAL : 0;
}

int crew_set(struct crew *crew, unsigned target)
{
	int r;

	invariant(!in_worker);
	lock_take(&crew->request);
	r = check_target(crew, (long)target);
	if (r == 0)
		r = set_locked(crew, target);
	lock_drop(&crew->request);
	return r;
}

int crew_change(struct crew *crew, int by)
{
	long target;
	int r;

	invariant(!in_worker);
	lock_take(&crew->request);
	target = (long)crew_count(crew) + by;
	r = check_target(crew, target);
	if (r == 0)
		r = set_locked(crew, (unsigned)target);
	lock_drop(&crew->request);
	return r;
}

static bool is_offline(struct slot *slot)
{
	bool offline;

	lock_take(&slot->crew->state);
	offline = slot->state == CREW_OFFLINE;
	lock_drop(&slot->crew->state);
	return offline;
}

/*
 * All are told before the first is waited for. With the request lock no slot
 * is coming, and none runs on: who came up during a stop was told at once.
 */
void crew_stop(struct crew *crew)
{
	invariant(!in_worker);
	lock_take(&crew->state);
	crew->stopping = true;
	for (unsigned i = 0; i < CREW_MAX; i++)
		if (crew->slot[i].state == CREW_RUNNING)
			leave_locked(&crew->slot[i]);
	cond_broadcast(&crew->changed);
	lock_drop(&crew->state);

	lock_take(&crew->request);
	for (unsigned i = CREW_MAX; i-- > 0;)
		if (!is_offline(&crew->slot[i]))
			slot_reap(&crew->slot[i]);
	lock_drop(&crew->request);
}

void crew_wait_ended(struct crew *crew)
{
	invariant(!in_worker);
	lock_take(&crew->state);
	while (!crew->stopping && (count_locked(crew, CREW_RUNNING) > 0 ||
				   count_locked(crew, CREW_COMING) > 0))
		cond_wait(&crew->changed, &crew->state);
	lock_drop(&crew->state);
}

/* --- looking --- */

unsigned crew_count(struct crew *crew)
{
	unsigned n;

	lock_take(&crew->state);
	n = count_locked(crew, CREW_RUNNING);
	lock_drop(&crew->state);
	return n;
}

bool crew_leaving(struct crew *crew, unsigned slot)
{
	return atomic_load_explicit(&crew->slot[slot].leaving,
				    memory_order_acquire);
}

int crew_leave_fd(struct crew *crew, unsigned slot)
{
	return crew->slot[slot].leave_fd;
}

struct crew_slot_info crew_slot_info(struct crew *crew, unsigned ix)
{
	const struct slot *slot = &crew->slot[ix];
	struct crew_slot_info info;

	lock_take(&crew->state);
	info = (struct crew_slot_info){
		.state = slot->state,
		.tid = slot->tid,
		.times_up = slot->times_up,
		.failed_step = slot->failed_step,
		.failed_with = slot->failed_with,
	};
	lock_drop(&crew->state);
	return info;
}

const char *crew_state_name(enum crew_slot_state state)
{
	static const char *const names[] = {
		[CREW_OFFLINE] = "offline", [CREW_COMING] = "coming",
		[CREW_RUNNING] = "running", [CREW_LEAVING] = "leaving",
		[CREW_ENDED] = "ended",
	};

	return names[state];
}
