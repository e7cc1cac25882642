/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ranges of files: cut, punch, zero, allocate, seek, copy, at their edges. */
#include "lib/content.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include "store/state.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGES 200u
#define BYTES (PAGES * (size_t)PAGE_BYTES)

struct world {
	struct store_rig rig;
	struct file file;
	char *model, *buf;
};

static int up(void **state)
{
	struct store_rig_options options = {.pool_kind = RIG_SPAN};
	struct world *w = calloc(1, sizeof(*w));
	struct content random = {11};

	store_rig_up(&w->rig, &options);
	w->file = store_rig_file(&w->rig, 0);
	w->model = malloc(BYTES);
	w->buf = malloc(BYTES);
	for (unsigned i = 0; i < PAGES; i++)
		content_make(&random, CONTENT_MIXED, w->model + i * PAGE_BYTES,
			     PAGE_BYTES);
	*state = w;
	return 0;
}

static int down(void **state)
{
	struct world *w = *state;

	store_rig_check(&w->rig);
	store_rig_down(&w->rig);
	free(w->model);
	free(w->buf);
	free(w);
	return 0;
}

static void put(struct world *w, uint64_t offset, const void *buf, size_t n)
{
	size_t done = 0;

	assert_int_equal(store_write(w->rig.store, w->rig.stream, w->file,
				     offset, buf, n, &done),
			 0);
	assert_int_equal(done, n);
}

static int cut(struct world *w, uint64_t size)
{
	return store_truncate(w->rig.store, w->rig.stream, w->file, size);
}

static int punch(struct world *w, uint64_t offset, uint64_t n)
{
	return store_punch(w->rig.store, w->rig.stream, w->file, offset, n);
}

static uint64_t size_of(struct world *w)
{
	return atomic_load(&w->file.body->size);
}

static uint64_t held(struct world *w)
{
	assert_int_equal(atomic_load(&w->file.body->pages),
			 store_pages_held(w->rig.store));
	return store_pages_held(w->rig.store);
}

static uint64_t nodes(struct world *w)
{
	return table_used(w->rig.arena, TABLE_TWIGS) +
	       table_used(w->rig.arena, TABLE_LEAVES);
}

static void assert_file_is(struct world *w, const char *wanted, size_t n)
{
	size_t done = 0;

	assert_int_equal(size_of(w), n);
	assert_int_equal(store_read(w->rig.store, w->rig.stream, w->file, 0,
				    w->buf, BYTES, &done),
			 0);
	assert_int_equal(done, n);
	assert_memory_equal(w->buf, wanted, n);
}

static void test_cut_frees_and_regrown_is_zero(void **state)
{
	static const size_t sizes[] = {BYTES - 1,
				       130 * PAGE_BYTES + 77,
				       64 * PAGE_BYTES,
				       5 * PAGE_BYTES + 8,
				       PAGE_BYTES,
				       100,
				       1,
				       0};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i];
		struct pool_stats pool;

		put(w, 0, w->model, BYTES);
		assert_int_equal(cut(w, size), 0);
		assert_file_is(w, w->model, size);
		assert_int_equal(held(w), pages_for(size));
		pool_stats(w->rig.pool, &pool);
		assert_int_equal(pool.objects, pages_for(size));
		/* What was cut off never comes back. */
		assert_int_equal(cut(w, BYTES), 0);
		memset(w->model + size, 0, BYTES - size);
		assert_file_is(w, w->model, BYTES);
		assert_int_equal(held(w), pages_for(size));
	}
	assert_int_equal(cut(w, 0), 0);
	assert_int_equal(nodes(w), 0);
	assert_true(atomic_load(&w->file.body->root) == 0);
}

static void test_cut_shortens_the_last_page(void **state)
{
	struct world *w = *state;
	struct pool_stats pool;

	store_rig_use(&w->rig, "none");
	put(w, 0, w->model, PAGE_BYTES);
	assert_int_equal(cut(w, 100), 0);
	pool_stats(w->rig.pool, &pool);
	assert_int_equal(pool.object_bytes, 104);
}

/*
 * A cut needs no room: when there is none, the rest of the last page stays in
 * the pool out of sight, and nothing that follows may show it.
 */
static void cut_without_room(struct world *w)
{
	struct budget *budget = &w->rig.budget;
	size_t done;
	uint64_t at = 0;

	store_rig_use(&w->rig, "none");
	put(w, 0, w->model, PAGE_BYTES);
	/* Another file takes every slot that is free. */
	budget_set_limit(budget, 0);
	while (store_write(w->rig.store, w->rig.stream,
			   store_rig_file(&w->rig, 1), at, w->model, 200,
			   &done) == 0)
		at += PAGE_BYTES;
	while (store_write(w->rig.store, w->rig.stream,
			   store_rig_file(&w->rig, 1), at, w->model, 8,
			   &done) == 0)
		at += PAGE_BYTES;
	assert_int_equal(cut(w, 100), 0);
	assert_file_is(w, w->model, 100);
	/* That there was none: growing has to rewrite the page first. */
	assert_int_equal(cut(w, 200), -ENOSPC);
	assert_int_equal(store_write(w->rig.store, w->rig.stream, w->file,
				     5 * PAGE_BYTES, "x", 1, &done),
			 -ENOSPC);
	assert_file_is(w, w->model, 100);
	budget_set_limit(budget, GIB);
	memset(w->model + 100, 0, BYTES - 100);
}

static void test_cut_without_room_then_grow(void **state)
{
	struct world *w = *state;

	cut_without_room(w);
	assert_int_equal(cut(w, 3000), 0);
	assert_file_is(w, w->model, 3000);
}

static void test_cut_without_room_then_write_behind(void **state)
{
	struct world *w = *state;

	cut_without_room(w);
	put(w, 2000, "x", 1);
	w->model[2000] = 'x';
	assert_file_is(w, w->model, 2001);
}

static void test_cut_without_room_then_write_far(void **state)
{
	struct world *w = *state;

	cut_without_room(w);
	put(w, 10 * PAGE_BYTES, w->model, PAGE_BYTES);
	memcpy(w->model + 10 * PAGE_BYTES, w->model, PAGE_BYTES);
	assert_file_is(w, w->model, 11 * PAGE_BYTES);
}

static void test_cut_without_room_then_allocate(void **state)
{
	struct world *w = *state;

	cut_without_room(w);
	assert_int_equal(store_allocate(w->rig.store, w->rig.stream, w->file, 0,
					3 * PAGE_BYTES, false),
			 0);
	assert_file_is(w, w->model, 3 * PAGE_BYTES);
}

static void test_punch(void **state)
{
	static const struct {
		size_t from, to;
	} holes[] = {
		{10, 20},
		{PAGE_BYTES, 2 * PAGE_BYTES},
		{PAGE_BYTES - 1, 2 * PAGE_BYTES + 1},
		{60 * PAGE_BYTES, 70 * PAGE_BYTES + 5},
		{64 * PAGE_BYTES, 128 * PAGE_BYTES},
		{3, BYTES - 3},
		{0, BYTES},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(holes); i++) {
		size_t from = holes[i].from, to = holes[i].to;
		uint64_t whole = page_of(to) > pages_for(from)
					 ? page_of(to) - pages_for(from)
					 : 0;

		put(w, 0, w->model, BYTES);
		assert_int_equal(punch(w, from, to - from), 0);
		memset(w->model + from, 0, to - from);
		assert_file_is(w, w->model, BYTES);
		assert_int_equal(held(w), PAGES - whole);
	}
	assert_int_equal(nodes(w), 0);
	/* Beyond what a file can be: nothing to do, no error. */
	assert_int_equal(punch(w, BYTES, UINT64_MAX - BYTES), 0);
	assert_int_equal(punch(w, UINT64_MAX - 5, 5), 0);
}

static void test_punch_page_by_page_frees_nodes(void **state)
{
	struct world *w = *state;

	put(w, 0, w->model, BYTES);
	put(w, 16 * TIB, w->model, PAGE_BYTES);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(
			punch(w, (i * 7 % PAGES) * PAGE_BYTES, PAGE_BYTES), 0);
	assert_int_equal(punch(w, 16 * TIB, PAGE_BYTES), 0);
	assert_int_equal(held(w), 0);
	assert_int_equal(nodes(w), 0);
}

/* A page punched and written again is not what an edit of it has seen, though
 * its object may lie where the old one was. */
static void test_punch_counts_as_a_change(void **state)
{
	struct world *w = *state;
	uint64_t before, hole;
	unsigned n;

	put(w, 0, w->model, BYTES);
	before = atomic_load(map_slots(w->rig.arena, w->file.body, 5, &n));
	assert_int_equal(punch(w, 5 * PAGE_BYTES, PAGE_BYTES), 0);
	hole = atomic_load(map_slots(w->rig.arena, w->file.body, 5, &n));
	assert_int_equal(entry_kind(hole), ENTRY_EMPTY);
	assert_true(entry_same(hole, entry_after(before, 0)));
	put(w, 5 * PAGE_BYTES, w->model, PAGE_BYTES);
	assert_false(entry_same(
		before,
		atomic_load(map_slots(w->rig.arena, w->file.body, 5, &n))));
}

static void test_sparse_file_of_16_tib(void **state)
{
	struct world *w = *state;

	for (uint64_t at = 0; at < 16 * TIB; at += TIB / 4)
		put(w, at + 123, w->model, 10);
	assert_int_equal(held(w), 64);
	/* Walks what is there: 2^32 pages would take for ever. */
	assert_int_equal(punch(w, 1, 16 * TIB), 0);
	assert_int_equal(held(w), 1);
	assert_int_equal(nodes(w), 0);
	assert_int_equal(cut(w, (uint64_t)FILE_MAX_BYTES), 0);
	assert_int_equal(cut(w, 0), 0);
}

static void test_allocate_is_all_or_nothing(void **state)
{
	struct world *w = *state;
	struct store *store = w->rig.store;

	put(w, 10 * PAGE_BYTES, w->model, 10);
	store_set_limit(store, 100 * PAGE_BYTES);
	assert_int_equal(store_allocate(store, w->rig.stream, w->file, 0,
					101 * PAGE_BYTES, false),
			 -ENOSPC);
	assert_int_equal(held(w), 1);
	assert_int_equal(size_of(w), 10 * PAGE_BYTES + 10);
	assert_int_equal(store_allocate(store, w->rig.stream, w->file, 8 * TIB,
					99 * PAGE_BYTES + 1, true),
			 -ENOSPC);
	assert_int_equal(held(w), 1);
	assert_int_equal(nodes(w), 1);
	assert_int_equal(store_allocate(store, w->rig.stream, w->file, 0,
					100 * PAGE_BYTES, true),
			 0);
	assert_int_equal(held(w), 100);
	assert_int_equal(size_of(w), 10 * PAGE_BYTES + 10);
	/* What is held stays writable at the limit; data was kept. */
	put(w, 99 * PAGE_BYTES, w->model, 5);
	assert_int_equal(store_allocate(store, w->rig.stream, w->file,
					(uint64_t)FILE_MAX_BYTES, 1, false),
			 -EFBIG);
	/* A cut to the size gives back what was held behind it. */
	assert_int_equal(cut(w, 99 * PAGE_BYTES + 5), 0);
	assert_int_equal(cut(w, 10 * PAGE_BYTES + 10), 0);
	assert_int_equal(held(w), 11);
}

static void test_allocate_without_memory_for_nodes(void **state)
{
	struct world *w = *state;
	struct budget *budget = &w->rig.budget;
	static uint32_t leaves[10000];
	unsigned n = 0;

	put(w, 0, w->model, 10);
	while (n < 20)
		assert_int_equal(table_alloc(w->rig.arena, TABLE_LEAVES,
					     BUDGET_NORMAL, &leaves[n++]),
				 0);
	budget_set_limit(budget, 0);
	while (table_alloc(w->rig.arena, TABLE_LEAVES, BUDGET_NORMAL,
			   &leaves[n]) == 0)
		n++;
	/* Enough for some of the nodes. */
	for (unsigned i = 0; i < 7; i++)
		table_free(w->rig.arena, TABLE_LEAVES, leaves[--n]);
	assert_int_equal(store_allocate(w->rig.store, w->rig.stream, w->file, 0,
					128 * MIB, false),
			 -ENOSPC);
	while (n > 0)
		table_free(w->rig.arena, TABLE_LEAVES, leaves[--n]);
	budget_set_limit(budget, GIB);
	assert_int_equal(held(w), 1);
	assert_int_equal(nodes(w), 0);
	assert_int_equal(size_of(w), 10);
}

static void test_zero(void **state)
{
	struct world *w = *state;
	size_t from = 100, n = 150 * PAGE_BYTES;
	struct store_stats stats;

	put(w, 0, w->model, BYTES);
	assert_int_equal(punch(w, 50 * PAGE_BYTES, 20 * PAGE_BYTES), 0);
	assert_int_equal(
		store_zero(w->rig.store, w->rig.stream, w->file, from, n, true),
		0);
	memset(w->model + from, 0, n);
	assert_file_is(w, w->model, BYTES);
	assert_int_equal(held(w), PAGES);
	store_stats(w->rig.store, &stats);
	assert_int_equal(stats.same_pages, 149);
	assert_int_equal(store_zero(w->rig.store, w->rig.stream, w->file,
				    BYTES - 5, 10, false),
			 0);
	assert_int_equal(size_of(w), BYTES + 5);
	assert_int_equal(held(w), PAGES + 1);
}

static uint64_t seek(struct world *w, uint64_t from, int whence)
{
	uint64_t at = 0;
	int err = store_seek(w->rig.store, w->file, from, whence, &at);

	return err ? (uint64_t)err : at;
}

static void test_seek(void **state)
{
	struct world *w = *state;

	assert_true(seek(w, 0, SEEK_DATA) == (uint64_t)-ENXIO);
	put(w, 10 * PAGE_BYTES, w->model, 2 * PAGE_BYTES);
	put(w, 8 * TIB + 5, w->model, 10);
	assert_int_equal(seek(w, 0, SEEK_DATA), 10 * PAGE_BYTES);
	assert_int_equal(seek(w, 0, SEEK_HOLE), 0);
	assert_int_equal(seek(w, 11 * PAGE_BYTES + 3, SEEK_DATA),
			 11 * PAGE_BYTES + 3);
	assert_int_equal(seek(w, 11 * PAGE_BYTES + 3, SEEK_HOLE),
			 12 * PAGE_BYTES);
	assert_int_equal(seek(w, 12 * PAGE_BYTES, SEEK_DATA), 8 * TIB);
	/* The end is a hole, though it is in the middle of a page. */
	assert_int_equal(seek(w, 8 * TIB, SEEK_HOLE), 8 * TIB + 15);
	assert_true(seek(w, 8 * TIB + 15, SEEK_HOLE) == (uint64_t)-ENXIO);
	assert_true(seek(w, 0, SEEK_SET) == (uint64_t)-EINVAL);
	assert_int_equal(cut(w, 9 * TIB), 0);
	assert_true(seek(w, 8 * TIB + PAGE_BYTES, SEEK_DATA) ==
		    (uint64_t)-ENXIO);
	/* A small root, and its end inside of a group. */
	assert_int_equal(cut(w, 0), 0);
	put(w, 0, w->model, 8 * PAGE_BYTES);
	assert_int_equal(cut(w, 20 * PAGE_BYTES), 0);
	assert_int_equal(seek(w, 0, SEEK_HOLE), 8 * PAGE_BYTES);
}

static void test_copy_keeps_holes(void **state)
{
	struct world *w = *state;
	struct file to = store_rig_file(&w->rig, 1);
	uint64_t n = 0;
	size_t done;

	put(w, 0, w->model, 3 * PAGE_BYTES);
	put(w, TIB, w->model, 100);
	assert_int_equal(store_write(w->rig.store, w->rig.stream, to,
				     10 * PAGE_BYTES, w->model, PAGE_BYTES,
				     &done),
			 0);
	assert_int_equal(store_copy(w->rig.store, w->rig.stream, w->file, 0, to,
				    0, UINT64_MAX, &n),
			 0);
	assert_int_equal(n, TIB + 100);
	assert_int_equal(atomic_load(&to.body->size), TIB + 100);
	assert_int_equal(atomic_load(&to.body->pages), 4);
	w->file = to;
	assert_int_equal(seek(w, 0, SEEK_HOLE), 3 * PAGE_BYTES);
	assert_int_equal(seek(w, 3 * PAGE_BYTES, SEEK_DATA), TIB);
	/* Nothing behind the end; nothing beyond what a file can be. */
	assert_int_equal(store_copy(w->rig.store, w->rig.stream, to, 2 * TIB,
				    w->file, 0, 5, &n),
			 0);
	assert_int_equal(n, 0);
	assert_int_equal(store_copy(w->rig.store, w->rig.stream, to, 0, w->file,
				    (uint64_t)FILE_MAX_BYTES, 5, &n),
			 -EFBIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cut_frees_and_regrown_is_zero),
		TEST(test_cut_shortens_the_last_page),
		TEST(test_cut_without_room_then_grow),
		TEST(test_cut_without_room_then_write_behind),
		TEST(test_cut_without_room_then_write_far),
		TEST(test_cut_without_room_then_allocate),
		TEST(test_punch),
		TEST(test_punch_page_by_page_frees_nodes),
		TEST(test_punch_counts_as_a_change),
		TEST(test_sparse_file_of_16_tib),
		TEST(test_allocate_is_all_or_nothing),
		TEST(test_allocate_without_memory_for_nodes),
		TEST(test_zero),
		TEST(test_seek),
		TEST(test_copy_keeps_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
