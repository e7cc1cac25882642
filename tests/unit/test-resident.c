/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locked memory: nothing reserved comes in, what is filled stays. */
#include "base/budget.h"
#include "base/heap.h"
#include "base/page.h"
#include "base/resident.h"
#include "base/sparse.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

/* How many of the first 64 pages are in RAM. */
static unsigned pages_in(void *p)
{
	unsigned char in[64];
	unsigned n = 0;

	assert_int_equal(mincore(p, sizeof(in) * PAGE_BYTES, in), 0);
	for (size_t i = 0; i < sizeof(in); i++)
		n += in[i] & 1;
	return n;
}

static void *reserve(void)
{
	void *p = mmap(NULL, GIB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static void off_it_does_nothing(void **state UNUSED)
{
	char *p = reserve();

	assert_false(resident_is_on());
	resident_stack();
	assert_int_equal(resident_fill(p, 64 * PAGE_BYTES), 0);
	assert_int_equal(pages_in(p), 0);
	p[0] = 1;
	assert_true(resident_drop(p, PAGE_BYTES));
	assert_int_equal(p[0], 0);
	munmap(p, GIB);
}

static void what_is_there_is_counted(void **state UNUSED)
{
	const size_t all = 1000 * PAGE_BYTES;
	char *p = reserve();

	assert_int_equal(resident_bytes(p, all), 0);
	p[0] = 1;
	p[700 * PAGE_BYTES] = 1;
	p[999 * PAGE_BYTES] = 1;
	assert_int_equal(resident_bytes(p, all), 3 * PAGE_BYTES);
	assert_int_equal(resident_bytes(p, 999 * PAGE_BYTES), 2 * PAGE_BYTES);
	assert_true(resident_drop(p + PAGE_BYTES, all - PAGE_BYTES));
	assert_int_equal(resident_bytes(p, all), PAGE_BYTES);
	/* Of what is not mapped the kernel tells nothing. */
	munmap(p, GIB);
	assert_int_equal(resident_bytes(p, all), all);
}

static void locked_is_filled_and_dropped(void **state UNUSED)
{
	char *p = reserve();

	assert_true(resident_is_on());
	assert_int_equal(pages_in(p), 0);
	assert_int_equal(resident_fill(p, 64 * PAGE_BYTES), 0);
	assert_int_equal(pages_in(p), 64);
	p[PAGE_BYTES] = 1;
	assert_true(resident_drop(p, 32 * PAGE_BYTES));
	assert_int_equal(pages_in(p), 32);
	assert_int_equal(p[PAGE_BYTES], 0);
	resident_stack();
	munmap(p, GIB);
}

static void a_table_is_in_as_it_grows(void **state UNUSED)
{
	struct budget budget;
	struct sparse sparse;

	budget_init(&budget, 4 * MIB);
	assert_int_equal(sparse_init(&sparse, GIB, &budget), 0);
	assert_int_equal(pages_in(sparse.base), 0);
	assert_int_equal(sparse_grow(&sparse, 32 * PAGE_BYTES, BUDGET_NORMAL),
			 0);
	assert_int_equal(pages_in(sparse.base), 32);
	sparse_shrink(&sparse, 0);
	assert_int_equal(pages_in(sparse.base), 0);
	assert_int_equal(budget_used(&budget), 0);
	assert_int_equal(sparse_grow(&sparse, 32 * PAGE_BYTES, BUDGET_NORMAL),
			 0);
	assert_int_equal(pages_in(sparse.base), 32);
	sparse_fini(&sparse);
}

static char *use_and_free(void)
{
	char *p = heap_aligned(PAGE_BYTES, 4 * MIB);

	assert_non_null(p);
	memset(p, 1, 4 * MIB);
	heap_free(p);
	return p;
}

static void the_heap_gives_back_what_it_is_told_to(void **state UNUSED)
{
	char *p = use_and_free();

	/* Not by itself: the next one finds it there. */
	assert_int_equal(pages_in(p), 64);
	heap_purge();
	assert_int_equal(pages_in(p), 0);
}

/* Of a worker that left: what its arena had is given back at once. */
static void pieces_of_arenas_go(void **state UNUSED)
{
	unsigned char in;
	unsigned arena;
	char *p;

	assert_int_equal(heap_arena_new(&arena), 0);
	heap_arena_enter(arena);
	p = use_and_free();
	heap_arena_leave();
	assert_int_equal(heap_arena_bytes(arena), 0);
	assert_int_equal(mincore(p, PAGE_BYTES, &in), -1);
}

static void *just_free(void *p)
{
	heap_free(p);
	return NULL;
}

/* Neighbours of what is free already, in threads that never had anything of the
 * heap: they do not wait for themselves. */
static void a_thread_may_free_before_all_else(void **state UNUSED)
{
	enum { BLOCKS = 64 };
	char *block[BLOCKS];
	pthread_t thread;

	for (size_t i = 0; i < BLOCKS; i++) {
		block[i] = heap_aligned(PAGE_BYTES, 16 * PAGE_BYTES);
		assert_non_null(block[i]);
	}
	for (size_t i = 0; i < BLOCKS; i += 2)
		heap_free(block[i]);
	for (size_t i = 1; i < BLOCKS; i += 2) {
		assert_int_equal(
			pthread_create(&thread, NULL, just_free, block[i]), 0);
		pthread_join(thread, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest unlocked[] = {
		cmocka_unit_test(off_it_does_nothing),
		cmocka_unit_test(what_is_there_is_counted),
	};
	const struct CMUnitTest locked[] = {
		cmocka_unit_test(locked_is_filled_and_dropped),
		cmocka_unit_test(a_table_is_in_as_it_grows),
		cmocka_unit_test(the_heap_gives_back_what_it_is_told_to),
		cmocka_unit_test(pieces_of_arenas_go),
		cmocka_unit_test(a_thread_may_free_before_all_else),
	};
	int failed = cmocka_run_group_tests(unlocked, NULL, NULL);
	int r = resident_begin();

	if (SANITIZED && r != -ENOTSUP)
		return 1;
	if (failed || r == -ENOTSUP)
		return failed;
	if (r == -EPERM)
		return 77; /* no right to lock memory here */
	if (r < 0)
		return 1;
	heap_keep();
	return cmocka_run_group_tests(locked, NULL, NULL);
}
