/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Punches that only unhook: what is seen at once, and that all is paid. */
#include "lib/content.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include "store/state.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>

#define PAGES 1024u
#define BYTES (PAGES * (size_t)PAGE_BYTES)
/* More than one group: what is put off. */
#define PIECE (128 * (size_t)PAGE_BYTES)
#define ROW TALLY_SHARED_ROW

static struct store_rig rig;
static struct file file;
static char model[BYTES], buf[BYTES];

static int up(void **state UNUSED)
{
	struct store_rig_options options = {.pool_kind = RIG_SPAN};
	struct content random = {5};

	store_rig_up(&rig, &options);
	assert_int_equal(store_pay_later(rig.store), 0);
	file = store_rig_file(&rig, 0);
	for (unsigned i = 0; i < PAGES; i++)
		content_make(&random, CONTENT_MIXED, model + i * PAGE_BYTES,
			     PAGE_BYTES);
	store_rig_write(&rig, 0, 0, model, BYTES);
	return 0;
}

static int down(void **state UNUSED)
{
	store_settle(rig.store, ROW);
	store_rig_check(&rig);
	store_rig_down(&rig);
	return 0;
}

static void punch(uint64_t offset, size_t n)
{
	assert_int_equal(store_punch(rig.store, rig.stream, file, offset, n),
			 0);
	memset(model + offset, 0, n);
}

static void same(void)
{
	assert_int_equal(store_rig_read(&rig, 0, 0, buf, BYTES), 0);
	assert_memory_equal(buf, model, BYTES);
}

static uint64_t used(void)
{
	return budget_used(&rig.budget);
}

static void zeroes_at_once_and_memory_when_paid(void **state UNUSED)
{
	uint64_t before = used(), held = store_pages_held(rig.store);

	assert_false(store_owes(rig.store));
	assert_false(store_pay(rig.store, ROW));
	punch(PIECE, PIECE);
	same();
	assert_true(store_owes(rig.store));
	assert_int_equal(used(), before);
	assert_int_equal(store_pages_held(rig.store), held);
	assert_true(store_pay(rig.store, ROW));
	assert_false(store_owes(rig.store));
	assert_true(used() < before);
	assert_int_equal(store_pages_held(rig.store),
			 held - PIECE / PAGE_BYTES);
	same();
}

/* One group's worth is as quickly freed as put off. */
static void small_ones_are_freed_at_once(void **state UNUSED)
{
	punch(0, 64 * PAGE_BYTES);
	assert_false(store_owes(rig.store));
	same();
}

static void what_is_written_meanwhile_stays(void **state UNUSED)
{
	struct content random = {6};

	punch(0, BYTES / 2);
	content_make_any(&random, model, PIECE);
	store_rig_write(&rig, 0, 0, model, PIECE);
	store_settle(rig.store, ROW);
	same();
}

/* As many as there is a place for; after that whoever punches pays. */
static void a_full_ring_frees_at_once(void **state UNUSED)
{
	unsigned rounds = 0, n = 0;

	for (; rounds < 100; rounds++) {
		uint64_t before = used();

		store_rig_write(&rig, 0, 0, model + BYTES - PIECE, PIECE);
		memcpy(model, model + BYTES - PIECE, PIECE);
		before = used();
		punch(0, PIECE);
		same();
		if (used() < before)
			break;
	}
	assert_in_range(rounds, 8, 99);
	while (store_pay(rig.store, ROW))
		n++;
	assert_int_equal(n, rounds);
}

/* A daemon that dies owing: nobody reaches what is owed, and it is free. */
static void a_rebuild_pays_all(void **state UNUSED)
{
	uint64_t before;

	assert_int_equal(store_rig_attach(&rig), 0);
	file = store_rig_file(&rig, 0);
	before = used();
	assert_int_equal(store_pay_later(rig.store), 0);
	punch(PIECE, PIECE);
	punch(4 * PIECE, 2 * PIECE);
	assert_true(store_owes(rig.store));
	assert_int_equal(store_rig_attach(&rig), 0);
	file = store_rig_file(&rig, 0);
	assert_true(used() < before);
	same();
	store_rig_check(&rig);
	assert_int_equal(store_pay_later(rig.store), 0);
}

/* The record of a body may be another's the moment after. */
static void a_body_ends_without_debts(void **state UNUSED)
{
	struct file other = store_rig_file(&rig, 1);

	store_rig_write(&rig, 1, 0, model, BYTES);
	punch(0, PIECE);
	assert_int_equal(
		store_punch(rig.store, rig.stream, other, PIECE, PIECE), 0);
	store_discard(rig.store, ROW, file);
	assert_int_equal(atomic_load(&file.body->pages), 0);
	store_discard(rig.store, ROW, other);
	assert_int_equal(atomic_load(&other.body->pages), 0);
	assert_false(store_owes(rig.store));
	memset(model, 0, BYTES);
}

static _Atomic bool stop;

static void *pay(void *arg UNUSED)
{
	while (!atomic_load(&stop)) {
		store_settle(rig.store, ROW);
		sched_yield();
	}
	return NULL;
}

static void two_pay_while_one_punches(void **state UNUSED)
{
	struct content random = {7};
	pthread_t thread[2];

	atomic_store(&stop, false);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, pay, NULL),
				 0);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t at = content_below(&random, 7) * PIECE;

		punch(at, PIECE);
		if (i % 16 == 0)
			store_settle(rig.store, rig.stream->row);
		content_make_any(&random, model + at, PIECE);
		store_rig_write(&rig, 0, at, model + at, PIECE);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	same();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(zeroes_at_once_and_memory_when_paid),
		TEST(small_ones_are_freed_at_once),
		TEST(what_is_written_meanwhile_stays),
		TEST(a_full_ring_frees_at_once),
		TEST(a_rebuild_pays_all),
		TEST(a_body_ends_without_debts),
		TEST(two_pay_while_one_punches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
