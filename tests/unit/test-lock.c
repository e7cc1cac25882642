/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locks: exclusion, counts per class, and the rank check of debug builds. */
#include "base/clock.h"
#include "base/lock.h"
#include "death.h"
#include "unit.h"
#include <errno.h>
#include <sched.h>
#include <string.h>

/*
 * The tests break the rules on purpose, or hold a lock over an assertion that
 * may jump: the compiler's lock analysis cannot follow.
 */
#define TEST static NO_LOCK_ANALYSIS

static struct lock outer, inner, twin;
static struct rwlock file;

static int up(void **state UNUSED)
{
	lock_init(&outer, LOCK_TREE);
	lock_init(&inner, LOCK_PAGES);
	lock_init(&twin, LOCK_PAGES);
	rwlock_init(&file, LOCK_FILE);
	return 0;
}

static int down(void **state UNUSED)
{
	rwlock_fini(&file);
	lock_fini(&twin);
	lock_fini(&inner);
	lock_fini(&outer);
	return 0;
}

TEST void test_rising_order(void **state UNUSED)
{
	lock_take(&outer);
	rwlock_read(&file);
	lock_take(&inner);
	lock_assert_held(&inner);
	lock_assert_held(&outer);
	/* Dropped in any order. */
	rwlock_read_end(&file);
	lock_drop(&outer);
	lock_drop(&inner);
	rwlock_write(&file);
	lock_take(&inner);
	lock_drop(&inner);
	rwlock_write_end(&file);
}

TEST void test_try(void **state UNUSED)
{
	lock_take(&inner);
	/* Never waits, so against the order and beside its class is fine. */
	assert_true(lock_try(&outer));
	assert_true(lock_try(&twin));
	assert_false(lock_try(&twin));
	lock_assert_held(&twin);
	lock_drop(&twin);
	lock_drop(&outer);
	lock_drop(&inner);
}

TEST void take_falling(void *arg UNUSED)
{
	lock_take(&inner);
	lock_take(&outer);
}

TEST void take_twin(void *arg UNUSED)
{
	lock_take(&inner);
	lock_take(&twin);
}

TEST void take_self(void *arg UNUSED)
{
	lock_take(&inner);
	lock_take(&inner);
}

TEST void read_twice(void *arg UNUSED)
{
	rwlock_read(&file);
	rwlock_read(&file);
}

TEST void write_under_pages(void *arg UNUSED)
{
	lock_take(&inner);
	rwlock_write(&file);
}

TEST void drop_not_held(void *arg UNUSED)
{
	lock_drop(&inner);
}

TEST void assert_not_held(void *arg UNUSED)
{
	lock_take(&outer);
	lock_assert_held(&inner);
}

TEST void wait_under_inner(void *arg UNUSED)
{
	struct cond c;

	cond_init(&c);
	lock_take(&outer);
	lock_take(&inner);
	cond_wait(&c, &outer);
}

static void test_wrong_orders_die(void **state UNUSED)
{
	if (!DEBUG_INVARIANTS)
		skip();
	assert_true(dies_saying(take_falling, NULL, "class < class"));
	assert_true(dies_saying(take_twin, NULL, "class < class"));
	assert_true(dies_saying(take_self, NULL, "class < class"));
	assert_true(dies_saying(read_twice, NULL, "class < class"));
	assert_true(dies_saying(write_under_pages, NULL, "class < class"));
	assert_true(dies_saying(drop_not_held, NULL, "lock_note_dropped"));
	assert_true(dies_saying(assert_not_held, NULL, "lock is held"));
	/* Waking up takes the lock again, under one of higher rank. */
	assert_true(dies_saying(wait_under_inner, NULL, "class < class"));
}

/* --- contention --- */

TEST void *take_inner(void *arg UNUSED)
{
	lock_take(&inner);
	lock_drop(&inner);
	return NULL;
}

static void wait_for_contended(enum lock_class class, uint64_t n)
{
	while (lock_counts(class).contended < n)
		sched_yield();
}

TEST void test_contention_is_counted(void **state UNUSED)
{
	struct lock_counts before = lock_counts(LOCK_PAGES), after;
	uint64_t others = lock_counts(LOCK_TREE).contended;
	pthread_t thread;

	lock_take(&inner);
	lock_drop(&inner);
	assert_int_equal(lock_counts(LOCK_PAGES).contended, before.contended);
	lock_take(&inner);
	assert_int_equal(pthread_create(&thread, NULL, take_inner, NULL), 0);
	wait_for_contended(LOCK_PAGES, before.contended + 1);
	lock_drop(&inner);
	pthread_join(thread, NULL);
	after = lock_counts(LOCK_PAGES);
	assert_int_equal(after.contended, before.contended + 1);
	assert_int_equal(after.taken - before.taken, DEBUG_INVARIANTS ? 3 : 0);
	assert_int_equal(lock_counts(LOCK_TREE).contended, others);
}

TEST void *write_file(void *arg UNUSED)
{
	rwlock_write(&file);
	rwlock_write_end(&file);
	return NULL;
}

/* A waiting writer closes the door: or readers in turn would starve it. */
TEST void test_writer_is_preferred(void **state UNUSED)
{
	uint64_t before = lock_counts(LOCK_FILE).contended;
	pthread_t thread;

	rwlock_read(&file);
	assert_int_equal(pthread_create(&thread, NULL, write_file, NULL), 0);
	wait_for_contended(LOCK_FILE, before + 1);
	while (pthread_rwlock_tryrdlock(&file.rw) == 0) {
		pthread_rwlock_unlock(&file.rw);
		sched_yield();
	}
	rwlock_read_end(&file);
	pthread_join(thread, NULL);
}

/* --- exclusion --- */

#define THREADS 4
#define ROUNDS 10000

static struct {
	unsigned long by_lock;
	unsigned long by_write[2];
	_Atomic unsigned torn;
} shared;

TEST void *count_up(void *arg UNUSED)
{
	for (int i = 0; i < ROUNDS; i++) {
		lock_take(&inner);
		shared.by_lock++;
		lock_drop(&inner);
		if (i % 8 == 0) {
			rwlock_write(&file);
			shared.by_write[0]++;
			shared.by_write[1]++;
			rwlock_write_end(&file);
			continue;
		}
		rwlock_read(&file);
		if (shared.by_write[0] != shared.by_write[1])
			shared.torn++;
		rwlock_read_end(&file);
	}
	return NULL;
}

static void test_exclusion(void **state UNUSED)
{
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, count_up, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(shared.by_lock, THREADS * ROUNDS);
	assert_int_equal(shared.by_write[1], THREADS * ROUNDS / 8);
	assert_int_equal(shared.torn, 0);
}

/* --- conditions --- */

struct mailbox {
	struct lock lock;
	struct cond cond;
	unsigned posted;
};

TEST void *post(void *arg)
{
	struct mailbox *m = arg;

	for (int i = 0; i < 1000; i++) {
		lock_take(&m->lock);
		m->posted++;
		if (i % 2)
			cond_signal(&m->cond);
		else
			cond_broadcast(&m->cond);
		lock_drop(&m->lock);
	}
	return NULL;
}

TEST void test_cond(void **state UNUSED)
{
	struct mailbox m = {0};
	pthread_t thread;

	lock_init(&m.lock, LOCK_LEAF);
	cond_init(&m.cond);
	lock_take(&m.lock);
	assert_int_equal(pthread_create(&thread, NULL, post, &m), 0);
	while (m.posted < 500)
		cond_wait(&m.cond, &m.lock);
	lock_assert_held(&m.lock);
	while (m.posted < 1000)
		cond_wait_until(&m.cond, &m.lock, clock_ns() + NS_PER_S);
	lock_assert_held(&m.lock);
	lock_drop(&m.lock);
	pthread_join(thread, NULL);
	cond_fini(&m.cond);
	lock_fini(&m.lock);
}

/* The clock is the monotonic one: a deadline in it ends the wait. */
TEST void test_cond_deadline(void **state UNUSED)
{
	uint64_t deadline;
	struct cond c;

	cond_init(&c);
	lock_take(&inner);
	assert_false(cond_wait_until(&c, &inner, 0));
	assert_false(cond_wait_until(&c, &inner, clock_ns() - 1));
	deadline = clock_ns() + NS_PER_S / 200;
	while (cond_wait_until(&c, &inner, deadline))
		;
	assert_true(clock_ns() >= deadline);
	lock_assert_held(&inner);
	lock_drop(&inner);
	cond_fini(&c);
}

static void test_names(void **state UNUSED)
{
	for (int i = 0; i < LOCK_NR; i++) {
		assert_non_null(lock_class_name(i));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(lock_class_name(i),
						lock_class_name(k));
	}
	assert_string_equal(lock_class_name(LOCK_CREW_STATE), "crew.state");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rising_order, up, down),
		cmocka_unit_test_setup_teardown(test_try, up, down),
		cmocka_unit_test_setup_teardown(test_wrong_orders_die, up,
						down),
		cmocka_unit_test_setup_teardown(test_contention_is_counted, up,
						down),
		cmocka_unit_test_setup_teardown(test_writer_is_preferred, up,
						down),
		cmocka_unit_test_setup_teardown(test_exclusion, up, down),
		cmocka_unit_test(test_cond),
		cmocka_unit_test_setup_teardown(test_cond_deadline, up, down),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
