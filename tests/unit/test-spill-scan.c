/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that is on disk of a file: brought back, read, and given up where it
 * cannot be. */
#include "backing/extent.h"
#include "backing/io.h"
#include "lib/unit.h"
#include "lib/world.h"
#include "store/state.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More than a window, and more than a run. */
#define PAGES 1500u
#define BYTES (PAGES * (size_t)PAGE_BYTES)

#define BAD_MOST 8u
static struct {
	unsigned n;
	uint64_t at[BAD_MOST]; /* bytes of the file */
} bad;

static void make_page(struct content *random, unsigned page,
		      unsigned char *bytes)
{
	content_make(random, page % 3 ? CONTENT_RANDOM : CONTENT_TEXT, bytes,
		     PAGE_BYTES);
}

static int up(void **state)
{
	struct world *w = world_new(PAGES, 11, make_page, 0);

	bad.n = 0;
	store_set_promote(w->rig.store, 0);
	*state = w;
	return 0;
}

static int down(void **state)
{
	io_set_faults(NULL);
	world_free(*state);
	return 0;
}

/* In several sweeps: the file's order is not that of the disk. */
static void spill_in_turns(struct world *w)
{
	struct spill_pick pick = store_rig_all;
	struct spill_result result;

	for (unsigned i = 0; i < 5; i++) {
		pick.first_page = (4 - i) * PAGES / 5;
		store_rig_spill(&w->rig, &pick, &result);
		assert_int_equal(result.pages, PAGES / 5);
	}
}

/* --- bytes that are wrong --- */

static int flip(void *arg UNUSED, uint64_t offset, void *buf, size_t n_bytes)
{
	for (unsigned i = 0; i < bad.n; i++)
		if (bad.at[i] >= offset && bad.at[i] < offset + n_bytes)
			((char *)buf)[bad.at[i] - offset] ^= 1;
	return 0;
}

static const struct io_faults flips = {.read = flip};

static void damage(struct world *w, unsigned page)
{
	uint64_t word = store_rig_word(&w->rig, 0, page);

	assert_int_equal(entry_kind(word), ENTRY_SPILLED);
	bad.at[bad.n++] =
		extent_place(entry_extent(word)).unit * BACKING_UNIT + 40;
	io_set_faults(&flips);
}

static unsigned told[BAD_MOST], n_told;

static void on_unreadable(void *arg, struct file file, uint64_t page)
{
	struct world *w = arg;

	assert_ptr_equal(file.body, store_rig_file(&w->rig, 0).body);
	assert_true(n_told < BAD_MOST);
	told[n_told++] = (unsigned)page;
}

static struct spill_scanned scan(struct world *w, int how)
{
	struct spill_scan what = {.unreadable = on_unreadable, .arg = w};
	struct spill_reader *reader;
	struct spill_scanned scanned;

	what.how = how;
	n_told = 0;
	assert_int_equal(spill_reader_new(w->rig.store, &reader), 0);
	assert_int_equal(store_spill_scan(reader, store_rig_file(&w->rig, 0), 0,
					  UINT64_MAX, &what, &scanned),
			 0);
	spill_reader_free(reader);
	store_rig_check(&w->rig);
	return scanned;
}

static void assert_intact(struct world *w, unsigned first, unsigned end)
{
	size_t offset = first * (size_t)PAGE_BYTES;
	size_t n = (end - first) * (size_t)PAGE_BYTES;

	assert_int_equal(store_rig_read(&w->rig, 0, offset, w->buf, n), 0);
	assert_memory_equal(w->buf, w->model + offset, n);
}

/* --- the cases --- */

static void test_neighbours_come_in_one_go(void **state)
{
	struct world *w = *state;
	struct backing_stats stats;
	struct spill_scanned scanned;
	uint64_t reads;

	spill_in_turns(w);
	backing_stats(w->rig.backing, &stats);
	reads = stats.reads;
	scanned = scan(w, SPILL_SCAN_FETCH);
	assert_int_equal(scanned.pages, PAGES);
	assert_int_equal(scanned.unreadable, 0);
	assert_int_equal(world_stats(w).spilled_pages, 0);
	backing_stats(w->rig.backing, &stats);
	assert_true(stats.reads - reads < PAGES / 20);
	assert_int_equal(stats.extents, 0);
	assert_intact(w, 0, PAGES);
}

/* What was read for one file serves the next ones. */
static void test_small_files_are_neighbours(void **state)
{
	const struct spill_scan what = {.how = SPILL_SCAN_FETCH};
	struct world *w = *state;
	struct spill_reader *reader;
	struct spill_scanned scanned;
	struct backing_stats before, after;
	struct spill_result result;

	for (unsigned i = 1; i < RIG_FILES; i++)
		store_rig_write(&w->rig, i, 0, w->model, 8 * PAGE_BYTES);
	store_rig_spill(&w->rig, &store_rig_all, &result);
	backing_stats(w->rig.backing, &before);
	assert_int_equal(spill_reader_new(w->rig.store, &reader), 0);
	for (unsigned i = 1; i < RIG_FILES; i++) {
		assert_int_equal(store_spill_scan(reader,
						  store_rig_file(&w->rig, i), 0,
						  UINT64_MAX, &what, &scanned),
				 0);
		assert_int_equal(scanned.pages, 8);
		assert_int_equal(
			store_rig_read(&w->rig, i, 0, w->buf, 8 * PAGE_BYTES),
			0);
		assert_memory_equal(w->buf, w->model, 8 * PAGE_BYTES);
	}
	spill_reader_free(reader);
	backing_stats(w->rig.backing, &after);
	assert_true(after.reads - before.reads < RIG_FILES - 2);
}

static void test_reading_changes_nothing(void **state)
{
	struct world *w = *state;
	uint64_t word;

	spill_in_turns(w);
	word = store_rig_word(&w->rig, 0, 700);
	assert_int_equal(scan(w, SPILL_SCAN_READ).pages, PAGES);
	damage(w, 700);
	damage(w, 3);
	for (unsigned i = 0; i < 2; i++) {
		struct spill_scanned scanned = scan(w, SPILL_SCAN_READ);

		assert_int_equal(scanned.pages, PAGES - 2);
		assert_int_equal(scanned.unreadable, 2);
		assert_int_equal(n_told, 2);
		assert_int_equal(told[0] + told[1], 703);
	}
	assert_int_equal(store_rig_word(&w->rig, 0, 700), word);
	assert_int_equal(world_stats(w).lost_pages, 0);
	bad.n = 0;
	assert_intact(w, 0, PAGES);
}

static void test_the_others_come(void **state)
{
	struct world *w = *state;
	struct spill_scanned scanned;
	uint64_t pages;

	spill_in_turns(w);
	damage(w, 9);
	scanned = scan(w, SPILL_SCAN_FETCH);
	assert_int_equal(scanned.pages, PAGES - 1);
	assert_int_equal(scanned.unreadable, 1);
	assert_int_equal(world_stats(w).spilled_pages, 1);
	assert_int_equal(store_fetch_body(w->rig.store,
					  store_rig_file(&w->rig, 0), 0,
					  UINT64_MAX, &pages),
			 -EIO);
	assert_int_equal(pages, 0);
	bad.n = 0;
	assert_intact(w, 0, PAGES);
}

/* Never zeroes, never for ever: EIO until somebody writes it anew. */
static void test_given_up(void **state)
{
	struct world *w = *state;
	struct backing_stats stats;
	uint64_t held = store_pages_held(w->rig.store);

	spill_in_turns(w);
	damage(w, 20);
	damage(w, 21);
	damage(w, 1200);
	assert_int_equal(scan(w, SPILL_SCAN_GIVE_UP).unreadable, 3);
	assert_int_equal(world_stats(w).lost_pages, 3);
	assert_int_equal(store_pages_held(w->rig.store), held - 3);
	/* The disk may be well again: what is given up stays so. */
	bad.n = 0;
	assert_int_equal(scan(w, SPILL_SCAN_FETCH).unreadable, 0);
	backing_stats(w->rig.backing, &stats);
	assert_int_equal(stats.extents, 0);
	assert_int_equal(store_rig_attach(&w->rig), 0);
	assert_int_equal(world_stats(w).lost_pages, 3);
	for (unsigned page = 20; page < 22; page++)
		assert_int_equal(store_rig_read(&w->rig, 0,
						page * (uint64_t)PAGE_BYTES,
						w->buf, PAGE_BYTES),
				 -EIO);
	assert_intact(w, 0, 20);
	assert_intact(w, 22, 1200);
	assert_intact(w, 1201, PAGES);
	store_rig_write(&w->rig, 0, 20 * PAGE_BYTES, w->model + 20 * PAGE_BYTES,
			2 * PAGE_BYTES);
	assert_int_equal(world_stats(w).lost_pages, 1);
	assert_intact(w, 0, 1200);
	assert_int_equal(store_punch(w->rig.store, w->rig.stream,
				     store_rig_file(&w->rig, 0),
				     1200 * (uint64_t)PAGE_BYTES, PAGE_BYTES),
			 0);
	assert_int_equal(world_stats(w).lost_pages, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_neighbours_come_in_one_go),
		TEST(test_small_files_are_neighbours),
		TEST(test_reading_changes_nothing),
		TEST(test_the_others_come),
		TEST(test_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
