/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of the pause: all stand still, in an order that cannot lock up. */
#include "base/clock.h"
#include "fs/pause.h"
#include "unit.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>

/* Only ever used up by a failure. */
#define LONG_NS (60 * NS_PER_S)
#define MEMBERS 6u
#define PAUSES 300u

static struct pause *pause_made(void)
{
	struct pause *p;

	assert_int_equal(pause_new(&p), 0);
	return p;
}

static bool is_loud(const struct pause *p)
{
	struct pollfd pfd = {.fd = pause_fd(p), .events = POLLIN};

	return poll(&pfd, 1, 0) > 0;
}

/* --- nobody moves --- */

struct member {
	struct pause *pause;
	pthread_t thread;
	enum pause_class class;
	_Atomic bool stop;
	uint64_t turns; /* plain: TSan tells if it is read while they move */
};

static void *move(void *arg)
{
	struct member *m = arg;

	while (!atomic_load(&m->stop)) {
		pause_enter(m->pause, m->class);
		for (unsigned i = 0; i < 50; i++) {
			m->turns++;
			pause_point(m->pause, m->class);
		}
		pause_leave(m->pause, m->class);
		sched_yield();
	}
	return NULL;
}

static uint64_t turns_of_all(const struct member *m)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < MEMBERS; i++)
		sum += m[i].turns;
	return sum;
}

static void all_stand_still(void **state UNUSED)
{
	struct pause *p = pause_made();
	struct member m[MEMBERS] = {{0}};

	for (unsigned i = 0; i < MEMBERS; i++) {
		m[i].pause = p;
		m[i].class = i % PAUSE_NR;
		assert_int_equal(
			pthread_create(&m[i].thread, NULL, move, &m[i]), 0);
	}
	for (unsigned i = 0; i < PAUSES; i++) {
		uint64_t turns;

		assert_int_equal(pause_begin(p, LONG_NS), 0);
		assert_true(is_loud(p));
		turns = turns_of_all(m);
		sched_yield();
		assert_int_equal(turns_of_all(m), turns);
		pause_end(p);
	}
	for (unsigned i = 0; i < MEMBERS; i++)
		atomic_store(&m[i].stop, true);
	for (unsigned i = 0; i < MEMBERS; i++)
		pthread_join(m[i].thread, NULL);
	assert_false(is_loud(p));
	pause_free(p);
}

/* --- one waits for the other --- */

struct waiting {
	struct pause *pause;
	_Atomic bool inside, tidied, entered;
};

/* A worker that is inside and needs one more pass of the tidying. */
static void *need_tidying(void *arg)
{
	struct waiting *w = arg;

	pause_enter(w->pause, PAUSE_SERVING);
	atomic_store(&w->inside, true);
	while (!atomic_load(&w->tidied))
		sched_yield();
	pause_point(w->pause, PAUSE_SERVING);
	pause_leave(w->pause, PAUSE_SERVING);
	return NULL;
}

static void *tidy_when_asked(void *arg)
{
	struct waiting *w = arg;

	while (!pause_is_asked(w->pause, PAUSE_SERVING))
		sched_yield();
	pause_enter(w->pause, PAUSE_TIDYING);
	pause_leave(w->pause, PAUSE_TIDYING);
	atomic_store(&w->tidied, true);
	return NULL;
}

static void workers_may_wait_for_tasks(void **state UNUSED)
{
	struct waiting w = {.pause = pause_made()};
	pthread_t worker, task;

	assert_int_equal(pthread_create(&worker, NULL, need_tidying, &w), 0);
	while (!atomic_load(&w.inside))
		sched_yield();
	assert_int_equal(pthread_create(&task, NULL, tidy_when_asked, &w), 0);
	assert_int_equal(pause_begin(w.pause, LONG_NS), 0);
	assert_true(atomic_load(&w.tidied));
	pause_end(w.pause);
	pthread_join(worker, NULL);
	pthread_join(task, NULL);
	pause_free(w.pause);
}

/* --- who comes, and who does not --- */

static void *come_up(void *arg)
{
	struct waiting *w = arg;

	atomic_store(&w->inside, true);
	pause_enter(w->pause, PAUSE_SERVING);
	atomic_store(&w->entered, true);
	pause_leave(w->pause, PAUSE_SERVING);
	return NULL;
}

static void who_comes_up_waits(void **state UNUSED)
{
	struct waiting w = {.pause = pause_made()};
	pthread_t thread;

	assert_int_equal(pause_begin(w.pause, LONG_NS), 0);
	assert_int_equal(pthread_create(&thread, NULL, come_up, &w), 0);
	while (!atomic_load(&w.inside))
		sched_yield();
	for (unsigned i = 0; i < 1000; i++)
		sched_yield();
	assert_false(atomic_load(&w.entered));
	pause_end(w.pause);
	pthread_join(thread, NULL);
	assert_true(atomic_load(&w.entered));
	pause_free(w.pause);
}

static void who_does_not_come_is_not_waited_for(void **state UNUSED)
{
	struct pause *p = pause_made();

	for (unsigned class = 0; class < PAUSE_NR; class ++) {
		pause_enter(p, class);
		assert_int_equal(pause_begin(p, 1), -ETIMEDOUT);
		/* Nobody is held: this would never return. */
		assert_false(pause_is_asked(p, PAUSE_SERVING));
		assert_int_equal(pause_point(p, class), 0);
		assert_false(is_loud(p));
		pause_leave(p, class);
	}
	assert_int_equal(pause_begin(p, LONG_NS), 0);
	pause_end(p);
	pause_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_stand_still),
		cmocka_unit_test(workers_may_wait_for_tasks),
		cmocka_unit_test(who_comes_up_waits),
		cmocka_unit_test(who_does_not_come_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
