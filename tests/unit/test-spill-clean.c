/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cleaning thin segments, caps of the file, and what a full or thin file means
 * for pages.
 */
#include "backing/io.h"
#include "lib/unit.h"
#include "lib/world.h"
#include "store/state.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Raw: 4128 bytes each, four segments and a bit. */
#define PAGES 1100u
#define BYTES (PAGES * (size_t)PAGE_BYTES)

static void make_page(struct content *random, unsigned page UNUSED,
		      unsigned char *bytes)
{
	content_make(random, CONTENT_RANDOM, bytes, PAGE_BYTES);
}

static struct world *capped(uint64_t spill_bytes)
{
	struct world *w = world_new(PAGES, 7, make_page, spill_bytes);

	store_set_promote(w->rig.store, 0);
	return w;
}

static int up(void **state)
{
	*state = capped(0);
	return 0;
}

static int up_with_a_cap(void **state)
{
	*state = capped(2 * BACKING_SEGMENT_BYTES);
	return 0;
}

static int down(void **state)
{
	io_set_faults(NULL);
	world_free(*state);
	return 0;
}

static struct backing_stats stats_of(struct world *w)
{
	struct backing_stats stats;

	backing_stats(w->rig.backing, &stats);
	return stats;
}

static struct spill_result spill_all(struct world *w)
{
	struct spill_result result;

	store_rig_spill(&w->rig, &store_rig_all, &result);
	store_rig_check(&w->rig);
	return result;
}

static void assert_intact(struct world *w)
{
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, BYTES), 0);
	assert_memory_equal(w->buf, w->model, BYTES);
}

/* Every page but each third becomes a hole: all segments are thin. */
static void thin_out(struct world *w)
{
	for (unsigned i = 0; i < PAGES; i++) {
		if (i % 3 == 0)
			continue;
		assert_int_equal(store_punch(w->rig.store, w->rig.stream,
					     store_rig_file(&w->rig, 0),
					     i * (uint64_t)PAGE_BYTES,
					     PAGE_BYTES),
				 0);
		memset(w->model + i * PAGE_BYTES, 0, PAGE_BYTES);
	}
}

/* All that can be cleaned, at most so many segments. */
static struct spill_result clean(struct world *w, unsigned percent,
				 unsigned most)
{
	struct spill_files files = {store_rig_with, &w->rig};
	struct spill_result result;

	assert_int_equal(
		store_spill_begin(w->rig.store, &store_rig_all, &files), 0);
	while (most-- && store_spill_clean(w->rig.store, percent))
		;
	store_spill_end(w->rig.store, &result);
	store_rig_check(&w->rig);
	return result;
}

static void test_thin_segments_go(void **state)
{
	struct world *w = *state;
	uint64_t segments, live = (PAGES + 2) / 3;
	struct spill_result result;

	assert_int_equal(spill_all(w).pages, PAGES);
	segments = stats_of(w).segments;
	assert_int_equal(clean(w, 50, 100).cleaned, 0);
	thin_out(w);
	assert_int_equal(stats_of(w).segments, segments);
	result = clean(w, 50, 100);
	assert_int_equal(result.err, 0);
	/* Not those of the segment that was being written. */
	assert_true(result.cleaned > live / 2 && result.cleaned <= live);
	assert_int_equal(result.pages, 0);
	assert_int_equal(stats_of(w).extents, live);
	assert_true(stats_of(w).segments < segments);
	assert_intact(w);
	assert_int_equal(store_rig_attach(&w->rig), 0);
	assert_intact(w);
}

static void test_ages_outlive_a_move(void **state)
{
	struct world *w = *state;
	uint64_t before, after;

	spill_all(w);
	thin_out(w);
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, 1), 0);
	before = store_rig_word(&w->rig, 0, 0);
	clean(w, 50, 100);
	after = store_rig_word(&w->rig, 0, 0);
	assert_int_not_equal(entry_payload(before), entry_payload(after));
	assert_int_equal(entry_age(before), ENTRY_AGAIN_TICKS);
	assert_int_equal(entry_age(after), ENTRY_AGAIN_TICKS);
	assert_int_equal(entry_generation(after), entry_generation(before) + 1);
}

/* --- what happens to a page while its new extent is in flight --- */

static struct world *hooked;
static enum spill_window hooked_window;
static unsigned hooked_what;

static void change_page_0(enum spill_window window)
{
	struct world *w = hooked;
	struct file file = store_rig_file(&w->rig, 0);
	uint64_t pages;

	if (window != hooked_window)
		return;
	atomic_store(&spill_hook, NULL);
	switch (hooked_what) {
	case 0:
		content_make(&w->random, CONTENT_RANDOM, w->model, PAGE_BYTES);
		store_rig_write(&w->rig, 0, 0, w->model, PAGE_BYTES);
		break;
	case 1:
		assert_int_equal(
			store_fetch_body(w->rig.store, file, 0, 1, &pages), 0);
		assert_int_equal(pages, 1);
		break;
	case 2:
		store_discard(w->rig.store, 0, file);
		assert_int_equal(store_truncate(w->rig.store, w->rig.stream,
						file, BYTES),
				 0);
		memset(w->model, 0, BYTES);
		break;
	default: /* no reason to leave it where it is */
		assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, 1), 0);
	}
}

static void one_window(struct world *w, enum spill_window window, unsigned what)
{
	struct spill_result result;

	content_make(&w->random, CONTENT_RANDOM, w->model, BYTES);
	store_rig_write(&w->rig, 0, 0, w->model, BYTES);
	/* The next one begins anew: else page 0 would be in the open one. */
	assert_int_equal(store_rig_attach(&w->rig), 0);
	store_set_promote(w->rig.store, 0);
	spill_all(w);
	thin_out(w);
	hooked = w;
	hooked_window = window;
	hooked_what = what;
	atomic_store(&spill_hook, change_page_0);
	result = clean(w, 50, 1);
	assert_null(atomic_load(&spill_hook));
	assert_true(what == 3 ? result.changed == 0 : result.changed > 0);
	assert_intact(w);
}

static void test_windows(void **state)
{
	for (unsigned what = 0; what < 4; what++) {
		one_window(*state, SPILL_PUT, what);
		one_window(*state, SPILL_DONE, what);
		one_window(*state, SPILL_COMMIT, what);
	}
}

static size_t no_write(void *arg UNUSED, uint64_t offset UNUSED,
		       size_t n_bytes UNUSED, int *ret_result)
{
	*ret_result = -EIO;
	return 0;
}

static void test_a_failed_move_changes_nothing(void **state)
{
	struct world *w = *state;
	struct io_faults faults = {.write = no_write};
	uint64_t word;

	spill_all(w);
	thin_out(w);
	word = store_rig_word(&w->rig, 0, 0);
	io_set_faults(&faults);
	assert_true(clean(w, 50, 1).failed > 0);
	io_set_faults(NULL);
	assert_int_equal(store_rig_word(&w->rig, 0, 0), word);
	assert_intact(w);
}

static int no_read(void *arg UNUSED, uint64_t offset UNUSED, void *buf UNUSED,
		   size_t n_bytes UNUSED)
{
	return -EIO;
}

/* What cannot be read stays with its owner, and is no reason to go on. */
static void test_an_unreadable_segment(void **state)
{
	struct world *w = *state;
	struct io_faults faults = {.read = no_read};

	spill_all(w);
	thin_out(w);
	io_set_faults(&faults);
	assert_int_equal(clean(w, 50, 100).cleaned, 0);
	io_set_faults(NULL);
	assert_intact(w);
}

static int no_read_of_the_first(void *arg UNUSED, uint64_t offset,
				void *buf UNUSED, size_t n_bytes UNUSED)
{
	return offset < BACKING_SEGMENT_BYTES ? -EIO : 0;
}

/* The thinnest of all cannot be read: the next one is as good. */
static void test_the_next_segment(void **state)
{
	struct world *w = *state;
	struct io_faults faults = {.read = no_read_of_the_first};

	spill_all(w);
	thin_out(w);
	io_set_faults(&faults);
	assert_true(clean(w, 50, 1).cleaned > 0);
	io_set_faults(NULL);
	assert_intact(w);
}

/* --- a file at its cap --- */

static void test_full(void **state)
{
	struct world *w = *state;
	struct spill_result result = spill_all(w);
	struct store_stats stats;

	assert_int_equal(result.err, -ENOSPC);
	assert_true(result.pages > 400 && result.pages < 510);
	store_stats(w->rig.store, &stats);
	assert_int_equal(stats.spilled_pages, result.pages);
	assert_int_equal(stats_of(w).extents, result.pages);
	for (unsigned i = 0; i < PAGES; i++)
		assert_false(store_rig_word(&w->rig, 0, i) & ENTRY_MARK);
	assert_intact(w);
	/* As full as before, and nothing of it leaks by trying. */
	result = spill_all(w);
	assert_int_equal(result.pages, 0);
	assert_int_equal(result.err, -ENOSPC);
	/* What is freed is used again. */
	store_rig_write(&w->rig, 0, 0, w->model, BYTES / 2);
	assert_true(spill_all(w).pages > 200);
	assert_intact(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_thin_segments_go),
		TEST(test_ages_outlive_a_move),
		TEST(test_windows),
		TEST(test_a_failed_move_changes_nothing),
		TEST(test_an_unreadable_segment),
		TEST(test_the_next_segment),
		cmocka_unit_test_setup_teardown(test_full, up_with_a_cap, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
