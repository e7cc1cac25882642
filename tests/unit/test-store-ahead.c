/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads whose pages somebody else brings from the disk. */
#include "base/heap.h"
#include "lib/unit.h"
#include "lib/world.h"
#include "store/state.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGES 200u
#define BYTES (PAGES * (size_t)PAGE_BYTES)

/* What somebody else reads, and has read. */
static struct backing_blocks blocks[PAGES];
static struct store_ahead ahead = {.blocks = blocks};

static void make_page(struct content *random, unsigned page UNUSED,
		      unsigned char *bytes)
{
	content_make(random, CONTENT_TEXT, bytes, PAGE_BYTES);
}

static int up(void **state)
{
	*state = world_new(PAGES, 11, make_page, 0);
	return 0;
}

static int down(void **state)
{
	while (ahead.n)
		heap_free(blocks[--ahead.n].bytes);
	world_free(*state);
	return 0;
}

static uint64_t disk_reads(struct world *w)
{
	struct backing_stats stats;

	backing_stats(w->rig.backing, &stats);
	return stats.reads;
}

static void spill(struct world *w, unsigned from, unsigned to)
{
	struct spill_pick pick = store_rig_all;
	struct spill_result result;

	pick.first_page = from;
	pick.end_page = to;
	store_rig_spill(&w->rig, &pick, &result);
	assert_int_equal(result.err, 0);
}

static unsigned plan(struct world *w, uint64_t offset, size_t n, unsigned most)
{
	return store_plan_read(w->rig.store, store_rig_file(&w->rig, 0), offset,
			       n, blocks, most);
}

/* Have all that was planned read. */
static void read_ahead(struct world *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct backing_blocks *block = &blocks[i];

		block->bytes = heap_aligned(PAGE_BYTES, block->n_bytes);
		assert_int_equal(
			backing_read_blocks(w->rig.backing, block->offset,
					    block->bytes, block->n_bytes),
			0);
	}
	ahead.n = n;
}

static void assert_reads(struct world *w, uint64_t offset, size_t n)
{
	size_t done = 0;

	assert_int_equal(store_read_ahead(w->rig.store, w->rig.stream,
					  store_rig_file(&w->rig, 0), offset,
					  w->buf, n, &ahead, &done),
			 0);
	assert_int_equal(done, n);
	assert_memory_equal(w->buf, w->model + offset, n);
}

static void test_nothing_on_disk(void **state)
{
	struct world *w = *state;

	assert_int_equal(plan(w, 0, BYTES, PAGES), 0);
	spill(w, 10, 20);
	assert_int_equal(plan(w, 0, 10 * PAGE_BYTES, PAGES), 0);
	assert_int_equal(plan(w, 20 * PAGE_BYTES, BYTES, PAGES), 0);
	assert_int_equal(plan(w, BYTES, 1, PAGES), 0);
	assert_int_equal(plan(w, 0, 0, PAGES), 0);
	assert_int_equal(plan(w, 20 * PAGE_BYTES - 1, 1, PAGES), 1);
	assert_int_equal(plan(w, 10 * PAGE_BYTES, 1, PAGES), 1);
}

/* No read of the disk is left, and neighbours are one. */
static void test_all_is_found(void **state)
{
	struct world *w = *state;
	unsigned n;
	uint64_t before;

	spill(w, 3, 190);
	n = plan(w, 5000, BYTES - 10000, PAGES);
	assert_in_range(n, 1, 4);
	read_ahead(w, n);
	before = disk_reads(w);
	assert_reads(w, 5000, BYTES - 10000);
	assert_int_equal(disk_reads(w), before);
	assert_int_equal(world_stats(w).spill_reads, 187);
	assert_int_equal(world_stats(w).read_errors, 0);
}

/* Planned in too little room, or not read: it is read by itself. */
static void test_what_is_missing_is_read(void **state)
{
	struct world *w = *state;
	unsigned n;

	spill(w, 0, 50);
	spill(w, 100, 150);
	n = plan(w, 0, BYTES, 1);
	assert_int_equal(n, 1);
	read_ahead(w, n);
	blocks[0].n_bytes -= PAGE_BYTES;
	assert_reads(w, 0, BYTES);
	assert_int_equal(world_stats(w).read_errors, 0);
}

/* To plan is not to read: a page comes back when it has been read twice. */
static void test_planning_touches_nothing(void **state)
{
	struct world *w = *state;

	spill(w, 0, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(plan(w, 0, PAGE_BYTES, PAGES), 1);
	read_ahead(w, 1);
	assert_reads(w, 0, PAGE_BYTES);
	assert_int_equal(world_stats(w).brought_back_pages, 0);
	assert_reads(w, 0, PAGE_BYTES);
	assert_int_equal(world_stats(w).brought_back_pages, 1);
}

/* Between planning and reading: written, written and gone out again, cut. */
static void test_pages_change_meanwhile(void **state)
{
	struct world *w = *state;
	unsigned n;

	spill(w, 0, 40);
	n = plan(w, 0, 40 * PAGE_BYTES, PAGES);
	read_ahead(w, n);
	memset(w->model + 3 * PAGE_BYTES, 'x', PAGE_BYTES);
	content_make(&w->random, CONTENT_TEXT, w->model + 4 * PAGE_BYTES,
		     PAGE_BYTES);
	memset(w->model + 5 * PAGE_BYTES, 0, PAGE_BYTES);
	store_rig_write(&w->rig, 0, 3 * PAGE_BYTES, w->model + 3 * PAGE_BYTES,
			2 * PAGE_BYTES);
	spill(w, 4, 5);
	assert_int_equal(store_punch(w->rig.store, w->rig.stream,
				     store_rig_file(&w->rig, 0), 5 * PAGE_BYTES,
				     PAGE_BYTES),
			 0);
	assert_reads(w, 0, 40 * PAGE_BYTES);
	assert_int_equal(world_stats(w).read_errors, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_on_disk),
		TEST(test_all_is_found),
		TEST(test_what_is_missing_is_read),
		TEST(test_planning_touches_nothing),
		TEST(test_pages_change_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
