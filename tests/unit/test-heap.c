/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The heap: counted calls, faults on demand, arenas that can be given up. */
#include "base/heap.h"
#include "base/page.h"
#include "base/resident.h"
#include "fault.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>

static void test_kinds(void **state UNUSED)
{
	uint64_t before = heap_calls();
	unsigned char *zeroed = heap_zalloc(100, 10);
	void *aligned = heap_aligned(4096, 5000);
	unsigned char *both = heap_zaligned(256, 300);
	char *copy = heap_strdup("a name");
	char *grown = heap_alloc(3);

	assert_non_null(zeroed);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(zeroed[i], 0);
	assert_non_null(aligned);
	assert_int_equal((uintptr_t)aligned % 4096, 0);
	memset(aligned, 1, 5000);
	assert_non_null(both);
	assert_int_equal((uintptr_t)both % 256, 0);
	for (int i = 0; i < 300; i++)
		assert_int_equal(both[i], 0);
	assert_string_equal(copy, "a name");
	assert_non_null(grown);
	memcpy(grown, "xy", 3);
	grown = heap_resize(grown, 100000);
	assert_non_null(grown);
	assert_string_equal(grown, "xy");
	assert_int_equal(heap_calls(), before + 6);
	heap_free(zeroed);
	heap_free(aligned);
	heap_free(both);
	heap_free(copy);
	heap_free(grown);
	heap_free(NULL);
	assert_int_equal(heap_calls(), before + 6);
}

static void test_overflow(void **state UNUSED)
{
	/* Through a variable: the compiler knows what cannot be. */
	volatile size_t much = SIZE_MAX / 2;

	assert_null(heap_zalloc(much, 3));
	assert_null(heap_alloc(much));
	assert_null(heap_aligned(64, much));
	assert_null(heap_zaligned(64, much));
}

static void test_autofree(void **state UNUSED)
{
	for (int i = 0; i < 3; i++) {
		char *name AUTO(heap_autofree) =
			heap_strdup("freed at the end");

		assert_non_null(name);
	}
}

static void *count_own(void *arg)
{
	uint64_t *ret_calls = arg;

	heap_free(heap_alloc(10));
	*ret_calls = heap_calls();
	return NULL;
}

static void test_calls_are_counted_per_thread(void **state UNUSED)
{
	uint64_t before = heap_calls(), theirs = 77;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, count_own, &theirs), 0);
	pthread_join(thread, NULL);
	assert_int_equal(theirs, 1);
	assert_int_equal(heap_calls(), before);
}

static void test_nth_fails_once(void **state UNUSED)
{
	char *keep = heap_strdup("kept");
	void *p;

	heap_fail_nth(3);
	heap_free(heap_alloc(1));
	p = heap_zalloc(1, 1);
	assert_non_null(p);
	heap_free(p);
	assert_false(heap_fault_hit());
	/* A failed resize leaves the old piece alone. */
	assert_null(heap_resize(keep, 100));
	assert_true(heap_fault_hit());
	assert_string_equal(keep, "kept");
	p = heap_alloc(1);
	assert_non_null(p);
	heap_free(p);
	heap_free(keep);
	assert_true(heap_fault_hit());
	heap_fail_nth(0);
	assert_false(heap_fault_hit());
}

static void test_each_kind_can_fail(void **state UNUSED)
{
	unsigned arena = 77;

	heap_fail_nth(1);
	assert_null(heap_alloc(1));
	heap_fail_nth(1);
	assert_null(heap_zalloc(1, 1));
	heap_fail_nth(1);
	assert_null(heap_aligned(64, 64));
	heap_fail_nth(1);
	assert_null(heap_strdup("x"));
	heap_fail_nth(1);
	assert_int_equal(heap_arena_new(&arena), -ENOMEM);
	assert_int_equal(arena, 77);
	heap_fail_nth(0);
}

static void *fail_some(void *arg)
{
	unsigned *ret_failed = arg;

	for (int i = 0; i < 1000; i++) {
		void *p = heap_alloc(8);

		*ret_failed += !p;
		heap_free(p);
	}
	return NULL;
}

/* Whoever comes as the 1500th of two threads with 1000 each: one fails. */
static void test_one_fault_among_threads(void **state UNUSED)
{
	unsigned failed[2] = {0};
	pthread_t thread[2];

	heap_fail_nth(1500);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&thread[i], NULL, fail_some, &failed[i]),
			0);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(failed[0] + failed[1], 1);
	assert_true(heap_fault_hit());
	heap_fail_nth(0);
}

static int three_calls(void *arg)
{
	void *p[3] = {heap_alloc(1), heap_zalloc(1, 1), heap_strdup("x")};
	int r = p[0] && p[1] && p[2] ? 0 : -ENOMEM;

	(*(unsigned *)arg)++;
	for (int i = 0; i < 3; i++)
		heap_free(p[i]);
	return r;
}

static void test_the_loop_of_faults(void **state UNUSED)
{
	unsigned runs = 0;

	assert_int_equal(fault_each_alloc(three_calls, &runs), 3);
	assert_int_equal(runs, 4);
	assert_int_equal(fault_each_alloc_may_survive(three_calls, &runs), 3);
	assert_false(heap_fault_hit());
}

/* --- arenas --- */

static void test_arena_counts_its_own(void **state UNUSED)
{
	unsigned arena;
	void *outside, *small, *large;

	assert_int_equal(heap_arena_new(&arena), 0);
	assert_int_equal(heap_arena_bytes(arena), 0);
	heap_arena_enter(arena);
	small = heap_alloc(1000);
	large = heap_aligned(4096, 300000);
	heap_arena_leave();
	outside = heap_alloc(1 << 20);
	assert_non_null(small);
	assert_non_null(large);
	assert_non_null(outside);
	assert_true(heap_arena_bytes(arena) >= 301000);
	assert_true(heap_arena_bytes(arena) < 400000);
	heap_free(large);
	assert_true(heap_arena_bytes(arena) >= 1000);
	assert_true(heap_arena_bytes(arena) < 10000);
	heap_free(small);
	assert_int_equal(heap_arena_bytes(arena), 0);
	heap_free(outside);
	heap_arena_leave();
}

static void test_two_arenas(void **state UNUSED)
{
	unsigned a, b;
	void *in_a, *in_b;

	assert_int_equal(heap_arena_new(&a), 0);
	assert_int_equal(heap_arena_new(&b), 0);
	assert_int_not_equal(a, b);
	heap_arena_enter(a);
	in_a = heap_alloc(50000);
	heap_arena_leave();
	heap_arena_enter(b);
	in_b = heap_zalloc(5, 100000);
	assert_null(heap_zalloc(SIZE_MAX / 2, 3));
	assert_null(heap_alloc(SIZE_MAX));
	assert_null(heap_aligned(1 << 20, 10));
	heap_arena_leave();
	assert_true(heap_arena_bytes(a) >= 50000);
	assert_true(heap_arena_bytes(a) < 100000);
	assert_true(heap_arena_bytes(b) >= 500000);
	heap_free(in_a);
	assert_int_equal(heap_arena_bytes(a), 0);
	assert_true(heap_arena_bytes(b) >= 500000);
	heap_free(in_b);
	assert_int_equal(heap_arena_bytes(b), 0);
}

static void *stay_inside(void *arg)
{
	char *text;

	heap_arena_enter(*(unsigned *)arg);
	text = heap_strdup("still here");
	return text;
}

/* Who enters is its own affair, and what it leaves stays valid, whatever is made
 * after. */
static void test_arena_of_a_thread_that_ended(void **state UNUSED)
{
	pthread_t thread;
	unsigned arena, next;
	void *left, *p;

	assert_int_equal(heap_arena_new(&arena), 0);
	assert_int_equal(pthread_create(&thread, NULL, stay_inside, &arena), 0);
	pthread_join(thread, &left);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(heap_arena_new(&next), 0);
		heap_arena_enter(next);
		p = heap_alloc(11);
		heap_arena_leave();
		assert_non_null(p);
		memset(p, 0xff, 11);
		assert_string_equal(left, "still here");
		heap_free(p);
	}
	assert_true(heap_arena_bytes(arena) > 0);
	heap_free(left);
	assert_int_equal(heap_arena_bytes(arena), 0);
}

/* Rows that nobody uses take no RAM, also where others have been before. */
static void test_zeroes_are_there_as_they_are_used(void **state UNUSED)
{
	const size_t n = 8 << 20, page = PAGE_BYTES;

	for (unsigned i = 0; i < 3; i++) {
		char *p = heap_zaligned(64, n), *from;
		size_t before UNUSED, after UNUSED;

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 64, 0);
		from = p + (page - (uintptr_t)p % page) % page;
		before = resident_bytes(from, n / 2);
		from[n / 4] = 1;
		after = resident_bytes(from, n / 2);
#if !SANITIZED
		assert_int_equal(before, 0);
		assert_true(after <= page);
#endif
		from[n / 4] = 0;
		assert_true(p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
		memset(p, 0xff, n);
		heap_free(p);
	}
}

/* Paid for is not there: only what was written to is. */
static void test_arena_is_there_as_it_is_used(void **state UNUSED)
{
	unsigned arena;
	char *p;

	assert_int_equal(heap_arena_new(&arena), 0);
	heap_arena_enter(arena);
	p = heap_alloc(1 << 20);
	heap_arena_leave();
	assert_non_null(p);
#if !SANITIZED
	assert_int_equal(heap_arena_absent_bytes(arena), 1 << 20);
	memset(p, 1, 1 << 18);
	assert_int_equal(heap_arena_absent_bytes(arena), 3 << 18);
#endif
	for (size_t i = 1 << 18; i < 1 << 20; i++)
		assert_int_equal(p[i], 0);
	memset(p, 1, 1 << 20);
	assert_int_equal(heap_arena_absent_bytes(arena), 0);
	assert_int_equal(heap_arena_bytes(arena), 1 << 20);
	heap_free(p);
	assert_int_equal(heap_arena_absent_bytes(arena), 0);
}

/* Slots come and go for ever: nothing of them may stay. */
static void test_arenas_come_and_go(void **state UNUSED)
{
	size_t before = 0;

	for (int i = 0; i < 300; i++) {
		unsigned arena;
		char *p;

		assert_int_equal(heap_arena_new(&arena), 0);
		heap_arena_enter(arena);
		p = heap_alloc(1 << 20);
		assert_non_null(p);
		memset(p, 1, 1 << 20);
		heap_arena_leave();
		heap_free(p);
		if (i == 10)
			before = heap_resident_bytes();
	}
	assert_true(heap_resident_bytes() <= before + (16 << 20));
#if !SANITIZED
	assert_true(before > 0);
#endif
}

/* What nobody touched is no RAM, and what was touched is. */
static void test_resident_is_real(void **state UNUSED)
{
	size_t n = (size_t)256 << 20, before = heap_resident_bytes();
	char *untouched = heap_aligned(4096, n);

	assert_non_null(untouched);
	assert_true(heap_resident_bytes() < before + n / 2);
	memset(untouched, 1, 16 << 20);
#if !SANITIZED
	assert_true(heap_resident_bytes() > 1 << 20);
#endif
	heap_free(untouched);
}

/* What threads keep of what they have freed, nobody pays for. */
static void *free_many(void *arg)
{
	enum { EACH = 40, LEAST = 512, MOST = 32 << 10 };
	size_t *ret_kept = arg, before = heap_resident_bytes(), after;
	void *p[EACH];

	for (size_t n = LEAST; n <= MOST; n += LEAST) {
		for (int i = 0; i < EACH; i++) {
			p[i] = heap_alloc(n);
			assert_non_null(p[i]);
			memset(p[i], 1, n);
		}
		for (int i = 0; i < EACH; i++)
			heap_free(p[i]);
	}
	heap_purge();
	after = heap_resident_bytes();
	*ret_kept = after > before ? after - before : 0;
	return NULL;
}

static void test_threads_keep_little(void **state UNUSED)
{
	pthread_t thread;
	size_t kept = 0;

	assert_int_equal(pthread_create(&thread, NULL, free_many, &kept), 0);
	pthread_join(thread, NULL);
	assert_true(kept < 512 << 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_autofree),
		cmocka_unit_test(test_calls_are_counted_per_thread),
		cmocka_unit_test(test_nth_fails_once),
		cmocka_unit_test(test_each_kind_can_fail),
		cmocka_unit_test(test_one_fault_among_threads),
		cmocka_unit_test(test_the_loop_of_faults),
		cmocka_unit_test(test_arena_counts_its_own),
		cmocka_unit_test(test_two_arenas),
		cmocka_unit_test(test_arena_of_a_thread_that_ended),
		cmocka_unit_test(test_zeroes_are_there_as_they_are_used),
		cmocka_unit_test(test_arena_is_there_as_it_is_used),
		cmocka_unit_test(test_arenas_come_and_go),
		cmocka_unit_test(test_resident_is_real),
		cmocka_unit_test(test_threads_keep_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
