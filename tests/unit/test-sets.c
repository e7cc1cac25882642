/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of parameter sets through a change of codec (old objects
 * decode with theirs, a set goes with its last object, never earlier), with
 * each window of a sweep forced, and a short storm.
 */
#include "base/heap.h"
#include "base/tally.h"
#include "codec/sets.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include <cmocka.h>

static const struct codec_params lz4_1 = {CODEC_LZ4, 1};
static const struct codec_params lz4_2 = {CODEC_LZ4, 2};
static const struct codec_params zstd_3 = {CODEC_ZSTD, 3};
static const struct codec_params none = {CODEC_RAW, 0};

struct fixture {
	struct budget budget;
	struct arena *arena;
	struct sets *sets;
};

static int setup(void **state)
{
	struct fixture *f = heap_zalloc(1, sizeof(*f));

	budget_init(&f->budget, 256 * MIB);
	assert_int_equal(arena_new(64 * MIB, &f->budget, &f->arena), 0);
	assert_int_equal(sets_new(f->arena, &f->sets), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sets_free(f->sets);
	arena_free(f->arena);
	heap_free(f);
	return 0;
}

static unsigned use(struct sets *sets, const struct codec_params *params)
{
	assert_int_equal(sets_use(sets, params), 0);
	return sets_current(sets);
}

static void assert_params(struct sets *sets, unsigned set,
			  const struct codec_params *expected)
{
	struct codec_params have;

	assert_int_equal(sets_params(sets, set, &have), 0);
	assert_true(codec_params_equal(&have, expected));
}

static void test_sets_start_with_raw_alone(void **state)
{
	struct fixture *f = *state;
	struct codec_params have = zstd_3;

	assert_int_equal(sets_current(f->sets), SET_RAW);
	assert_params(f->sets, SET_RAW, &none);
	assert_int_equal(sets_live(f->sets), 1);
	for (unsigned i = 1; i <= SETS_MAX; i++)
		assert_int_equal(sets_params(f->sets, i, &have), -ENOENT);
	assert_true(codec_params_equal(&have, &zstd_3));
	assert_int_equal(sets_use(f->sets, &none), 0);
	assert_int_equal(sets_current(f->sets), SET_RAW);
	assert_int_equal(
		sets_use(f->sets, &(struct codec_params){CODEC_LZ4, 0}),
		-EINVAL);
	assert_int_equal(sets_use(f->sets, &(struct codec_params){99, 0}),
			 -EINVAL);
}

static void test_sets_equal_params_are_one_set(void **state)
{
	struct fixture *f = *state;
	unsigned a = use(f->sets, &lz4_1), b = use(f->sets, &zstd_3);

	assert_int_not_equal(a, b);
	assert_int_equal(use(f->sets, &lz4_1), a);
	assert_int_equal(use(f->sets, &zstd_3), b);
	assert_int_equal(sets_live(f->sets), 3);
}

/* A set goes: not with an object, not while current, then at once. */
static void test_set_goes_with_its_last_object(void **state)
{
	struct fixture *f = *state;
	unsigned a = use(f->sets, &lz4_1), b;

	sets_count(f->sets, 3, a, 2);
	assert_int_equal(sets_sweep(f->sets), 0);
	b = use(f->sets, &zstd_3);
	assert_int_equal(sets_sweep(f->sets), 0);
	/* Made on one row, gone on others: the sum counts. */
	sets_count(f->sets, 5, a, -1);
	assert_int_equal(sets_objects(f->sets, a), 1);
	assert_int_equal(sets_sweep(f->sets), 0);
	assert_params(f->sets, a, &lz4_1);
	sets_count(f->sets, TALLY_SHARED_ROW, a, -1);
	assert_int_equal(sets_sweep(f->sets), 1);
	assert_false(sets_is_live(f->sets, a));
	assert_true(sets_is_live(f->sets, b));
	assert_int_equal(sets_gone(f->sets), 1);
	assert_int_equal(sets_sweep(f->sets), 0);
}

/* A store that entered before the change keeps its set, uncounted. */
static void test_store_under_way_holds_its_set(void **state)
{
	struct fixture *f = *state;
	unsigned a = use(f->sets, &lz4_1);
	static const unsigned rows[] = {0, 63, TALLY_SHARED_ROW};

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(use(f->sets, &lz4_1), a);
		assert_int_equal(sets_enter(f->sets, rows[i]), a);
		use(f->sets, &zstd_3);
		assert_int_equal(sets_sweep(f->sets), 0);
		sets_count(f->sets, rows[i], a, 1);
		sets_leave(f->sets, rows[i]);
		assert_int_equal(sets_sweep(f->sets), 0);
		sets_count(f->sets, 7, a, -1);
		assert_int_equal(sets_sweep(f->sets), 1);
	}
}

/* Brackets of several threads overlap on the shared row. */
static void test_shared_row_overlaps(void **state)
{
	struct fixture *f = *state;
	unsigned a = use(f->sets, &lz4_1);

	assert_int_equal(sets_enter(f->sets, TALLY_SHARED_ROW), a);
	assert_int_equal(sets_enter(f->sets, TALLY_SHARED_ROW), a);
	use(f->sets, &zstd_3);
	sets_leave(f->sets, TALLY_SHARED_ROW);
	assert_int_equal(sets_sweep(f->sets), 0);
	sets_leave(f->sets, TALLY_SHARED_ROW);
	assert_int_equal(sets_sweep(f->sets), 1);
}

static void test_sets_enter_with_is_not_current(void **state)
{
	struct fixture *f = *state;
	unsigned a = use(f->sets, &lz4_1);
	int b = sets_enter_with(f->sets, 4, &zstd_3);

	assert_true(b > 0);
	assert_int_equal(sets_current(f->sets), a);
	assert_int_equal(sets_sweep(f->sets), 0);
	assert_params(f->sets, (unsigned)b, &zstd_3);
	sets_leave(f->sets, 4);
	assert_int_equal(sets_sweep(f->sets), 1);
	assert_int_equal(
		sets_enter_with(f->sets, 4,
				&(struct codec_params){CODEC_ZSTD, 99}),
		-EINVAL);
}

/* --- the window of a sweep: between marking and letting go --- */

static struct {
	struct sets *sets;
	const struct codec_params *revive;
	const struct codec_params *then;
	unsigned look_at;
	unsigned calls;
	unsigned inner_sweeps;
} window;

static void in_window(void *arg)
{
	struct codec_params have;

	assert_ptr_equal(arg, &window);
	window.calls++;
	/* A reader that copied the last object's bytes still decodes. */
	assert_int_equal(sets_params(window.sets, window.look_at, &have), 0);
	assert_false(sets_is_live(window.sets, window.look_at));
	window.inner_sweeps += sets_sweep(window.sets);
	if (window.revive)
		assert_int_equal(sets_use(window.sets, window.revive), 0);
	if (!window.then)
		return;
	assert_int_equal(sets_use(window.sets, window.then), 0);
	window.then = NULL;
	window.inner_sweeps += sets_sweep(window.sets);
}

/* A set that dies may be wanted again: it must not be let go then. */
static void test_dying_set_is_taken_up_again(void **state)
{
	struct fixture *f = *state;
	unsigned a = use(f->sets, &lz4_1);

	use(f->sets, &zstd_3);
	window.sets = f->sets;
	window.look_at = a;
	window.revive = &lz4_1;
	window.calls = window.inner_sweeps = 0;
	sets_on_sweep(f->sets, in_window, &window);
	assert_int_equal(sets_sweep(f->sets), 0);
	assert_int_equal(window.calls, 1);
	assert_int_equal(window.inner_sweeps, 0);
	assert_int_equal(sets_current(f->sets), a);
	assert_true(sets_is_live(f->sets, a));
	sets_on_sweep(f->sets, NULL, NULL);
}

/* Revived and given up once more: that takes a waiting of its own, which a
 * second sweep inside the first one's must leave to a later one. */
static void test_sweeps_do_not_overlap(void **state)
{
	struct fixture *f = *state;
	unsigned a = use(f->sets, &lz4_1);

	use(f->sets, &zstd_3);
	window.sets = f->sets;
	window.look_at = a;
	window.revive = &lz4_1;
	window.then = &zstd_3;
	window.calls = window.inner_sweeps = 0;
	sets_on_sweep(f->sets, in_window, &window);
	assert_int_equal(sets_sweep(f->sets), 0);
	assert_int_equal(window.calls, 1);
	assert_int_equal(window.inner_sweeps, 0);
	assert_true(sets_is_live(f->sets, a));
	sets_on_sweep(f->sets, NULL, NULL);
	assert_int_equal(sets_sweep(f->sets), 1);
}

/* --- the window of a store: between reading current and saying so --- */

static void change_and_sweep(void)
{
	atomic_store(&sets_enter_hook, NULL);
	assert_int_equal(sets_use(window.sets, &zstd_3), 0);
	assert_int_equal(sets_sweep(window.sets), 1);
	/* The number means something else by the time it is said. */
	assert_int_equal(sets_use(window.sets, &lz4_2), 0);
	assert_int_equal(sets_use(window.sets, &zstd_3), 0);
}

static void test_change_while_a_store_enters(void **state)
{
	struct fixture *f = *state;
	unsigned a = use(f->sets, &lz4_1), set;

	window.sets = f->sets;
	atomic_store(&sets_enter_hook, change_and_sweep);
	set = sets_enter(f->sets, 2);
	assert_int_not_equal(set, a);
	assert_int_equal(set, sets_current(f->sets));
	assert_params(f->sets, set, &zstd_3);
	/* And it is this one that is held. */
	use(f->sets, &lz4_1);
	sets_sweep(f->sets);
	assert_true(sets_is_live(f->sets, set));
	sets_leave(f->sets, 2);
	assert_int_equal(sets_sweep(f->sets), 1);
}

/* A dying number is no number for new parameters. */
static void test_dying_number_is_not_reused(void **state)
{
	struct fixture *f = *state;
	unsigned a = use(f->sets, &lz4_1);

	use(f->sets, &zstd_3);
	window.sets = f->sets;
	window.look_at = a;
	window.revive = &lz4_2;
	window.calls = window.inner_sweeps = 0;
	sets_on_sweep(f->sets, in_window, &window);
	assert_int_equal(sets_sweep(f->sets), 1);
	assert_int_not_equal(sets_current(f->sets), a);
	assert_params(f->sets, sets_current(f->sets), &lz4_2);
	/* Gone: still readable, until the number is used again. */
	assert_params(f->sets, a, &lz4_1);
	sets_on_sweep(f->sets, NULL, NULL);
	assert_int_equal(use(f->sets, &(struct codec_params){CODEC_LZ4, 9}), a);
}

/* 63 numbers: with objects -EBUSY and nothing changed, else they are swept. */
static void test_sets_numbers_run_out(void **state)
{
	struct fixture *f = *state;
	struct codec_params params = {CODEC_LZ4, 1};
	unsigned last;

	for (int i = 1; i < SETS_MAX; i++) {
		params.level = i;
		sets_count(f->sets, 0, use(f->sets, &params), 1);
	}
	last = sets_current(f->sets);
	assert_int_equal(sets_use(f->sets, &zstd_3), -EBUSY);
	assert_int_equal(sets_current(f->sets), last);
	assert_int_equal(use(f->sets, &params), last);
	sets_count(f->sets, 0, 7, -1);
	assert_int_equal(use(f->sets, &zstd_3), 7);
	assert_params(f->sets, 7, &zstd_3);
}

/* The arena's words are the truth: another life finds the same numbers. */
static void test_attach_finds_the_sets(void **state)
{
	struct fixture *f = *state;
	unsigned a = use(f->sets, &lz4_2), b = use(f->sets, &zstd_3);

	sets_free(f->sets);
	assert_int_equal(sets_new(f->arena, &f->sets), 0);
	assert_int_equal(sets_current(f->sets), SET_RAW);
	assert_params(f->sets, a, &lz4_2);
	assert_params(f->sets, b, &zstd_3);
	sets_count(f->sets, TALLY_SHARED_ROW, b, 1);
	assert_int_not_equal(use(f->sets, &lz4_1), a);
	assert_int_equal(sets_sweep(f->sets), 1);
	assert_true(sets_is_live(f->sets, b));
	assert_int_equal(use(f->sets, &zstd_3), b);
}

/* Damage in a word is "no such set", not a wild codec. */
static void test_sets_damaged_word_is_enoent(void **state)
{
	struct fixture *f = *state;
	unsigned a = use(f->sets, &lz4_1);
	static const uint64_t damages[] = {
		0, UINT64_MAX, UINT64_C(1) << 63 | UINT64_C(4) << 32 | 1,
		UINT64_C(1) << 63 | UINT64_C(1) << 32 | 65};
	struct codec_params have;

	for (unsigned i = 0; i < 4; i++) {
		atomic_store(arena_word(f->arena, ARENA_WORD_SETS + a),
			     damages[i]);
		assert_int_equal(sets_params(f->sets, a, &have), -ENOENT);
	}
	assert_int_equal(sets_params(f->sets, 4096, &have), -ENOENT);
}

/* --- a storm: stores, changes and sweeps at once --- */

#define STORM_WRITERS 3
#define STORM_CHANGES 2000

struct writer {
	struct sets *sets;
	unsigned row;
	_Atomic bool *stop;
	_Atomic uint64_t stores;
	uint64_t bad;
};

static void store_once(struct writer *w, uint64_t i)
{
	unsigned set = sets_enter(w->sets, w->row);
	struct codec_params before, after;

	/* In the bracket the set lives, though without an object. */
	w->bad += sets_params(w->sets, set, &before) < 0;
	w->bad += !sets_is_live(w->sets, set);
	w->bad += sets_params(w->sets, set, &after) < 0;
	w->bad += !codec_params_equal(&before, &after);
	sets_count(w->sets, w->row, set, 1);
	sets_leave(w->sets, w->row);
	/* With an object it lives outside the bracket as well. */
	w->bad += !sets_is_live(w->sets, set);
	w->bad += sets_params(w->sets, set, &after) < 0;
	w->bad += !codec_params_equal(&before, &after);
	sets_count(w->sets, (w->row + i) % TALLY_ROWS, set, -1);
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;

	while (!atomic_load(w->stop)) {
		store_once(w, atomic_load(&w->stores));
		atomic_fetch_add(&w->stores, 1);
	}
	return NULL;
}

/* Changes go on until enough are made and every writer had its share. */
static bool storm_goes_on(struct writer *writers, unsigned changes)
{
	for (unsigned i = 0; i < STORM_WRITERS; i++)
		if (atomic_load(&writers[i].stores) < STORM_CHANGES / 10)
			return true;
	return changes < STORM_CHANGES;
}

static void test_storm(void **state)
{
	static const unsigned rows[STORM_WRITERS] = {0, 1, TALLY_SHARED_ROW};
	struct fixture *f = *state;
	struct writer writers[STORM_WRITERS];
	pthread_t threads[STORM_WRITERS];
	_Atomic bool stop = false;
	struct codec_params params = {CODEC_LZ4, 1};
	unsigned others = 0;

	for (unsigned i = 0; i < STORM_WRITERS; i++) {
		writers[i] = (struct writer){f->sets, rows[i], &stop, 0, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, writer_main,
						&writers[i]),
				 0);
	}
	for (unsigned n = 0; storm_goes_on(writers, n); n++) {
		int r;

		params.level = params.level % 64 + 1;
		/* -EBUSY: each sweep met a store on the shared row. */
		r = sets_use(f->sets, &params);
		others += r != 0 && r != -EBUSY;
		sets_sweep(f->sets);
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < STORM_WRITERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < STORM_WRITERS; i++)
		assert_int_equal(writers[i].bad, 0);
	assert_int_equal(others, 0);
	sets_sweep(f->sets);
	/* Raw and the current one are left, and nothing was miscounted. */
	assert_int_equal(sets_live(f->sets), 2);
	for (unsigned i = 0; i < SETS_MAX; i++)
		assert_int_equal(sets_objects(f->sets, i), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sets_start_with_raw_alone),
		TEST(test_sets_equal_params_are_one_set),
		TEST(test_set_goes_with_its_last_object),
		TEST(test_store_under_way_holds_its_set),
		TEST(test_shared_row_overlaps),
		TEST(test_sets_enter_with_is_not_current),
		TEST(test_dying_set_is_taken_up_again),
		TEST(test_sweeps_do_not_overlap),
		TEST(test_change_while_a_store_enters),
		TEST(test_dying_number_is_not_reused),
		TEST(test_sets_numbers_run_out),
		TEST(test_attach_finds_the_sets),
		TEST(test_sets_damaged_word_is_enoent),
		TEST(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
