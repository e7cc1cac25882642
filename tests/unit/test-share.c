/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of sharing requests among workers of a real crew: each part once,
 * nobody called in vain, nobody lost when workers leave.
 */
#include "base/check.h"
#include "crew/crew.h"
#include "crew/share.h"
#include "unit.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>

static struct share *share;
static struct crew *crew;
/* What helpers and owners work with. */
static int of_helper, of_owner;

/* --- without threads: the test is worker 0 and 1 --- */

static int up(void **state)
{
	(void)state;
	assert_int_equal(share_new(&share), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(share_up(share, i), 0);
		share_enter(share, i);
	}
	share_cpus(share, 2);
	return 0;
}

static int down(void **state)
{
	(void)state;
	share_leave(share, 0);
	share_leave(share, 1);
	share_free(share);
	return 0;
}

#define PARTS_MAX 300

static _Atomic unsigned ran[PARTS_MAX];

static void mark(void *arg, void *with, unsigned part)
{
	assert_ptr_equal(arg, ran);
	assert_ptr_equal(with, &of_owner);
	atomic_fetch_add(&ran[part], 1);
}

static bool run_marks(unsigned n)
{
	memset(ran, 0, sizeof(ran));
	return share_run(share, 0, n, mark, ran, &of_owner);
}

static bool is_called(unsigned slot)
{
	struct pollfd pfd = {.fd = share_fd(share, slot), .events = POLLIN};
	eventfd_t n;

	return poll(&pfd, 1, 0) == 1 && eventfd_read(pfd.fd, &n) == 0;
}

static void nobody_rests_nothing_is_done(void **state)
{
	(void)state;
	assert_false(run_marks(10));
	assert_int_equal(ran[0], 0);
	assert_false(is_called(1));
}

static void resting_worker_is_called_once(void **state)
{
	(void)state;
	assert_true(share_rest(share, 1));
	assert_false(share_is_called(share, 1));
	assert_true(run_marks(10));
	assert_true(share_is_called(share, 1));
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(ran[i], 1);
	assert_int_equal(ran[10], 0);
	assert_true(is_called(1));
	/* It is on its way and not resting any more. */
	assert_false(run_marks(10));
	assert_false(is_called(1));
	assert_true(share_rest_end(share, 1));
	assert_true(share_rest(share, 1));
	assert_false(share_rest_end(share, 1));
	assert_false(run_marks(10));
}

static void one_part_is_not_shared(void **state)
{
	(void)state;
	assert_true(share_rest(share, 1));
	assert_false(run_marks(1));
	share_rest_end(share, 1);
}

static void no_more_are_called_than_cpus(void **state)
{
	(void)state;
	share_cpus(share, 1);
	assert_true(share_rest(share, 1));
	assert_false(run_marks(10));
	assert_int_equal(share_up(share, 2), 0);
	share_enter(share, 2);
	assert_true(share_rest(share, 2));
	share_cpus(share, 2);
	assert_true(run_marks(10));
	assert_int_equal(is_called(1) + is_called(2), 1);
	share_rest_end(share, 1);
	share_rest_end(share, 2);
	share_leave(share, 2);
}

static void wish_for_workers_is_told_once(void **state)
{
	(void)state;
	/* Two are awake on two CPUs: more workers would not help. */
	run_marks(10);
	assert_false(share_was_wanted(share));
	share_cpus(share, 3);
	assert_false(run_marks(10));
	assert_true(share_was_wanted(share));
	assert_false(share_was_wanted(share));
}

/* The called one sees parts instead of going to rest. */
static bool rested;

static void try_to_rest(void *arg, void *with, unsigned part)
{
	(void)arg;
	(void)with;
	if (part == 0)
		rested = share_rest(share, 0);
}

static void nobody_rests_beside_open_parts(void **state)
{
	(void)state;
	assert_true(share_rest(share, 1));
	assert_true(share_run(share, 0, 2, try_to_rest, NULL, NULL));
	assert_false(rested);
	share_rest_end(share, 1);
	assert_true(share_rest(share, 0));
	share_rest_end(share, 0);
}

/* --- with a crew --- */

static int step_up(void *arg, unsigned slot)
{
	(void)arg;
	return share_up(share, slot);
}

static void sleep_and_help(unsigned slot)
{
	struct pollfd pfd[] = {
		{.fd = crew_leave_fd(crew, slot), .events = POLLIN},
		{.fd = share_fd(share, slot), .events = POLLIN},
	};
	eventfd_t n;

	if (share_rest(share, slot)) {
		invariant(poll(pfd, 2, -1) > 0);
		if (pfd[1].revents)
			invariant(eventfd_read(pfd[1].fd, &n) == 0);
		share_rest_end(share, slot);
	}
	share_help(share, &of_helper);
}

static void run(void *arg, unsigned slot)
{
	(void)arg;
	share_enter(share, slot);
	while (!crew_leaving(crew, slot))
		sleep_and_help(slot);
	share_leave(share, slot);
}

static int crew_up(void **state)
{
	static const struct crew_step steps[] = {{"share", step_up, NULL}};
	static const struct crew_ops ops = {steps, 1, run};

	(void)state;
	assert_int_equal(share_new(&share), 0);
	assert_int_equal(crew_new(&ops, NULL, &crew), 0);
	share_cpus(share, 16);
	assert_int_equal(crew_set(crew, 3), 0);
	return 0;
}

static int crew_down(void **state)
{
	(void)state;
	crew_stop(crew);
	crew_free(crew);
	share_free(share);
	return 0;
}

struct owner {
	unsigned ix;
	unsigned shared;
	/* Plain: a part's writes belong to the owner when it is told. */
	unsigned part[PARTS_MAX];
};

static void raise_part(void *arg, void *with, unsigned part)
{
	struct owner *owner = arg;

	(void)with;
	owner->part[part]++;
}

#define ROUNDS 2000

static void *own(void *arg)
{
	struct owner *owner = arg;
	unsigned times[PARTS_MAX] = {0};

	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned n = 2 + round % (PARTS_MAX - 2);

		if (!share_run(share, owner->ix, n, raise_part, owner, NULL))
			continue;
		owner->shared++;
		for (unsigned i = 0; i < PARTS_MAX; i++) {
			times[i] += i < n;
			invariant(owner->part[i] == times[i]);
		}
	}
	return NULL;
}

static _Atomic bool over;

static void *change_crew(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !atomic_load(&over); i++)
		invariant(crew_set(crew, 1 + i * 7 % 5) == 0);
	return NULL;
}

static void each_part_is_done_once(void **state)
{
	static struct owner owner[2];
	pthread_t thread[2], changer;
	unsigned total = 0;

	(void)state;
	atomic_store(&over, false);
	assert_int_equal(pthread_create(&changer, NULL, change_crew, NULL), 0);
	/* Workers are away most of the time; not for ever. */
	do {
		memset(owner, 0, sizeof(owner));
		for (unsigned i = 0; i < 2; i++) {
			owner[i].ix = 40 + i;
			assert_int_equal(pthread_create(&thread[i], NULL, own,
							&owner[i]),
					 0);
		}
		for (unsigned i = 0; i < 2; i++)
			pthread_join(thread[i], NULL);
		total += owner[0].shared + owner[1].shared;
	} while (total < 300);
	atomic_store(&over, true);
	pthread_join(changer, NULL);
}

struct hold {
	sem_t taken;
	sem_t go;
	_Atomic unsigned done;
};

/* The owner's part lasts until a helper has the other one; a slow owner may
 * find that the helper has done both. */
static void hold_part(void *arg, void *with, unsigned part)
{
	struct hold *hold = arg;

	(void)part;
	if (with == &of_helper) {
		sem_post(&hold->taken);
		sem_post(&hold->taken);
		while (sem_wait(&hold->go) != 0)
			;
		sem_post(&hold->go);
	} else {
		while (sem_wait(&hold->taken) != 0)
			;
	}
	atomic_fetch_add(&hold->done, 1);
}

static void *own_held(void *arg)
{
	struct hold *hold = arg;

	/* False until the worker rests. */
	while (!share_run(share, 50, 2, hold_part, hold, &of_owner))
		sched_yield();
	invariant(atomic_load(&hold->done) == 2);
	return NULL;
}

static void *stop_crew(void *arg)
{
	(void)arg;
	crew_stop(crew);
	return NULL;
}

static void leaver_ends_its_part(void **state)
{
	struct hold hold = {.done = 0};
	pthread_t owner, stopper;

	(void)state;
	assert_int_equal(crew_set(crew, 1), 0);
	sem_init(&hold.taken, 0, 0);
	sem_init(&hold.go, 0, 0);
	assert_int_equal(pthread_create(&owner, NULL, own_held, &hold), 0);
	while (sem_wait(&hold.taken) != 0)
		;
	assert_int_equal(pthread_create(&stopper, NULL, stop_crew, NULL), 0);
	while (!crew_leaving(crew, 0))
		sched_yield();
	assert_int_equal(crew_slot_info(crew, 0).state, CREW_LEAVING);
	sem_post(&hold.go);
	pthread_join(owner, NULL);
	pthread_join(stopper, NULL);
	assert_int_equal(atomic_load(&hold.done), 2);
	sem_destroy(&hold.taken);
	sem_destroy(&hold.go);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, up, down)
#define CREW_CASE(f) cmocka_unit_test_setup_teardown(f, crew_up, crew_down)
	const struct CMUnitTest tests[] = {
		CASE(nobody_rests_nothing_is_done),
		CASE(resting_worker_is_called_once),
		CASE(one_part_is_not_shared),
		CASE(no_more_are_called_than_cpus),
		CASE(wish_for_workers_is_told_once),
		CASE(nobody_rests_beside_open_parts),
		CREW_CASE(each_part_is_done_once),
		CREW_CASE(leaver_ends_its_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
