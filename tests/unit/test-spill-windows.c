/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can happen to a page while it is on its way to disk, in each moment when
 * nothing is held: what was claimed is forgotten, nothing newer is lost, and
 * nothing is counted twice.
 */
#include "backing/io.h"
#include "lib/content.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include "store/state.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGES 12u
#define BYTES (PAGES * (size_t)PAGE_BYTES)

enum event {
	EVENT_OVERWRITE,
	EVENT_PATCH,
	EVENT_READ,
	EVENT_CUT,
	EVENT_CUT_AND_GROW,
	EVENT_PUNCH,
	EVENT_DISCARD,
	EVENT_REWRITE, /* cut off, and other bytes of the same length again */
	EVENT_COMPACT,
	EVENT_TICK,
	EVENT_NR
};

/* One at a time: the hook has no argument. */
static struct world {
	struct store_rig rig;
	struct content random;
	unsigned char model[BYTES], buf[BYTES];
	size_t size;
	enum spill_window window;
	enum event event;
	bool armed;
	unsigned done_calls;
} world;

/* Of one length whatever the bytes: raw. */
static void fill_model(struct world *w)
{
	content_make(&w->random, CONTENT_RANDOM, w->model, BYTES);
	w->size = BYTES;
}

static int up(void **state)
{
	struct store_rig_options options = {.pool_kind = RIG_SPAN,
					    .spill = true};
	struct world *w = &world;

	memset(w, 0, sizeof(*w));
	store_rig_up(&w->rig, &options);
	w->random.state = 23;
	fill_model(w);
	store_rig_write(&w->rig, 0, 0, w->model, BYTES);
	*state = w;
	return 0;
}

static int down(void **state)
{
	struct world *w = *state;

	atomic_store(&spill_hook, NULL);
	io_set_faults(NULL);
	store_rig_check(&w->rig);
	store_rig_down(&w->rig);
	return 0;
}

/* --- events: all are about page 0 of file 0, the first to be claimed --- */

static void cut(struct world *w, size_t size)
{
	assert_int_equal(store_truncate(w->rig.store, w->rig.stream,
					store_rig_file(&w->rig, 0), size),
			 0);
	w->size = size;
}

static void overwrite(struct world *w, size_t from, size_t n)
{
	content_make(&w->random, CONTENT_RANDOM, w->model + from, n);
	store_rig_write(&w->rig, 0, from, w->model + from, n);
	if (w->size < from + n)
		w->size = from + n;
}

static void compact(struct world *w)
{
	if (!store_compact_begin(w->rig.store))
		return;
	store_compact_body(w->rig.store, w->rig.stream,
			   store_rig_file(&w->rig, 0));
	store_compact_end(w->rig.store);
}

static void happen(struct world *w)
{
	struct store_ages ages = {.bytes = {0}};
	struct file file = store_rig_file(&w->rig, 0);

	switch (w->event) {
	case EVENT_OVERWRITE:
		overwrite(w, 0, PAGE_BYTES);
		break;
	case EVENT_PATCH:
		overwrite(w, 100, 50);
		break;
	case EVENT_READ:
		assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, 10), 0);
		break;
	case EVENT_CUT:
		cut(w, 0);
		break;
	case EVENT_CUT_AND_GROW:
		cut(w, 0);
		memset(w->model, 0, BYTES);
		cut(w, BYTES);
		break;
	case EVENT_PUNCH:
		assert_int_equal(store_punch(w->rig.store, w->rig.stream, file,
					     0, PAGE_BYTES),
				 0);
		memset(w->model, 0, PAGE_BYTES);
		break;
	case EVENT_DISCARD:
		store_discard(w->rig.store, w->rig.stream->row, file);
		w->size = 0;
		break;
	case EVENT_REWRITE:
		cut(w, 0);
		overwrite(w, 0, BYTES);
		break;
	case EVENT_COMPACT:
		compact(w);
		break;
	default:
		store_age_body(w->rig.store, file, true, &ages);
	}
}

static void hook(enum spill_window window)
{
	struct world *w = &world;

	w->done_calls += window == SPILL_DONE;
	if (!w->armed || window != w->window)
		return;
	w->armed = false;
	happen(w);
}

static void assert_intact(struct world *w)
{
	struct file file = store_rig_file(&w->rig, 0);

	assert_int_equal(atomic_load(&file.body->size), w->size);
	if (w->size)
		assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, w->size),
				 0);
	assert_memory_equal(w->buf, w->model, w->size);
}

static void assert_no_marks(struct world *w)
{
	for (unsigned i = 0; i < PAGES; i++)
		assert_false(store_rig_word(&w->rig, 0, i) & ENTRY_MARK);
}

/* The sums themselves: what is shown is cut off below zero. */
static void assert_no_sum_below_zero(struct world *w)
{
	for (unsigned sum = SUM_SAME; sum <= SUM_SPILLED_BYTES; sum++)
		assert_true((int64_t)tally_sum(&w->rig.store->tally, sum) >= 0);
}

static void one_window(struct world *w, enum spill_window window,
		       enum event event)
{
	struct spill_result result;
	bool stays = event == EVENT_TICK || event == EVENT_COMPACT;

	store_discard(w->rig.store, 0, store_rig_file(&w->rig, 0));
	fill_model(w);
	store_rig_write(&w->rig, 0, 0, w->model, BYTES);
	w->window = window;
	w->event = event;
	w->armed = true;
	atomic_store(&spill_hook, hook);
	store_rig_spill(&w->rig, &store_rig_all, &result);
	atomic_store(&spill_hook, NULL);
	assert_false(w->armed);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.failed, 0);
	assert_true(stays || result.changed > 0);
	assert_int_equal(entry_kind(store_rig_word(&w->rig, 0, 0)) ==
				 ENTRY_SPILLED,
			 stays);
	assert_no_marks(w);
	assert_no_sum_below_zero(w);
	store_rig_check(&w->rig);
	assert_intact(w);
	/* What lost its claim can be claimed again. */
	store_rig_spill(&w->rig, &store_rig_all, &result);
	assert_int_equal(result.changed, 0);
	assert_intact(w);
	store_rig_check(&w->rig);
}

static void test_claimed(void **state)
{
	for (unsigned event = 0; event < EVENT_NR; event++)
		one_window(*state, SPILL_CLAIMED, event);
}

static void test_put(void **state)
{
	for (unsigned event = 0; event < EVENT_NR; event++)
		one_window(*state, SPILL_PUT, event);
}

static void test_written(void **state)
{
	for (unsigned event = 0; event < EVENT_NR; event++)
		one_window(*state, SPILL_DONE, event);
}

static void test_found_again(void **state)
{
	for (unsigned event = 0; event < EVENT_NR; event++)
		one_window(*state, SPILL_COMMIT, event);
}

/* --- a sweep in steps --- */

static void begin(struct world *w)
{
	struct spill_files files = {store_rig_with, &w->rig};

	assert_int_equal(
		store_spill_begin(w->rig.store, &store_rig_all, &files), 0);
}

static struct spill_result end(struct world *w)
{
	struct spill_result result;

	store_spill_end(w->rig.store, &result);
	store_rig_check(&w->rig);
	assert_no_marks(w);
	assert_no_sum_below_zero(w);
	return result;
}

static void sweep_body(struct world *w)
{
	assert_true(store_spill_body(w->rig.store, store_rig_file(&w->rig, 0)));
}

/*
 * The file is cut and written anew while its pages are in flight: generations
 * begin again, the pool gives the same handles. A second visit would make the
 * very same claims, and the old bytes would come in by them.
 */
static void test_the_same_claim_again(void **state)
{
	struct world *w = *state;
	uint64_t claimed[PAGES];
	struct spill_result result;

	begin(w);
	sweep_body(w);
	for (unsigned i = 0; i < PAGES; i++)
		claimed[i] = store_rig_word(&w->rig, 0, i);
	w->event = EVENT_REWRITE;
	happen(w);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(store_rig_word(&w->rig, 0, i) | ENTRY_MARK,
				 claimed[i]);
	sweep_body(w);
	result = end(w);
	assert_int_equal(result.pages, 0);
	assert_int_equal(result.changed, PAGES);
	assert_intact(w);
}

static size_t no_write(void *arg, uint64_t offset UNUSED, size_t n_bytes UNUSED,
		       int *ret_result)
{
	*ret_result = *(const int *)arg;
	return 0;
}

/* The segment being written is given up after an error; it is empty, so the
 * next one is of the same number. */
static void begin_segment_anew(struct world *w)
{
	struct io_faults faults = {.write = no_write, .arg = &(int){-EIO}};
	struct spill_result result;

	store_rig_write(&w->rig, 1, 0, w->model, PAGE_BYTES);
	io_set_faults(&faults);
	store_rig_spill(&w->rig, &store_rig_all, &result);
	io_set_faults(NULL);
	store_discard(w->rig.store, 0, store_rig_file(&w->rig, 1));
}

/* A page on disk has a name and a generation that a later one may have too: who
 * read the first must not bring it back for the second. */
static void test_the_same_extent_again(void **state)
{
	struct world *w = *state;
	struct file file = store_rig_file(&w->rig, 0);
	struct fetched from = {.err = 0};
	struct spill_result result;
	uint64_t word;

	store_rig_spill(&w->rig, &store_rig_all, &result);
	word = store_rig_word(&w->rig, 0, 3);
	fetch(w->rig.store, word, NULL, NULL, NULL, &from);
	assert_int_equal(spill_load(w->rig.store, file, 3,
				    spill_buffer(w->rig.stream), &from),
			 0);
	assert_int_equal(from.err, 0);
	from.data = memcpy(w->buf, from.data, from.n_bytes);
	w->event = EVENT_REWRITE;
	happen(w);
	begin_segment_anew(w);
	store_rig_spill(&w->rig, &store_rig_all, &result);
	assert_int_equal(store_rig_word(&w->rig, 0, 3), word);
	assert_int_equal(spill_return(w->rig.store, 0, file, 3, &from),
			 -EAGAIN);
	assert_intact(w);
	store_rig_check(&w->rig);
}

static void test_gone_while_in_flight(void **state)
{
	struct world *w = *state;
	struct spill_result result;
	struct backing_stats stats;

	begin(w);
	sweep_body(w);
	store_discard(w->rig.store, 0, store_rig_file(&w->rig, 0));
	w->size = 0;
	/* Its number is another file's, or nobody's. */
	w->rig.body_ix[0] += 1000;
	result = (store_spill_end(w->rig.store, &result), result);
	w->rig.body_ix[0] -= 1000;
	assert_int_equal(result.changed, PAGES);
	backing_stats(w->rig.backing, &stats);
	assert_int_equal(stats.extents, 0);
}

static void test_nothing_comes_after_the_end(void **state)
{
	struct world *w = *state;

	atomic_store(&spill_hook, hook);
	begin(w);
	sweep_body(w);
	end(w);
	assert_int_equal(w->done_calls, PAGES);
	begin(w);
	end(w);
	assert_int_equal(w->done_calls, PAGES);
}

/* --- writes that fail --- */

static void failed_write(struct world *w, int err)
{
	struct io_faults faults = {.write = no_write, .arg = &err};
	struct spill_result result;
	uint64_t words[PAGES];

	for (unsigned i = 0; i < PAGES; i++)
		words[i] = store_rig_word(&w->rig, 0, i);
	io_set_faults(&faults);
	begin(w);
	sweep_body(w);
	result = end(w);
	io_set_faults(NULL);
	assert_int_equal(result.pages, 0);
	assert_int_equal(result.failed, PAGES);
	/* Each as it was, in RAM, once. */
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(store_rig_word(&w->rig, 0, i), words[i]);
	assert_intact(w);
}

static void test_a_failed_write_leaves_all_as_it_was(void **state)
{
	struct world *w = *state;
	struct spill_result result;

	failed_write(w, -EIO);
	failed_write(w, -ENOSPC);
	backing_resume(w->rig.backing);
	store_rig_spill(&w->rig, &store_rig_all, &result);
	if (!result.err)
		assert_int_equal(result.pages, PAGES);
	assert_intact(w);
}

static void test_overwritten_while_a_write_fails(void **state)
{
	struct world *w = *state;
	struct io_faults faults = {.write = no_write, .arg = &(int){-EIO}};

	io_set_faults(&faults);
	begin(w);
	sweep_body(w);
	w->event = EVENT_OVERWRITE;
	happen(w);
	assert_int_equal(end(w).failed, PAGES);
	assert_intact(w);
}

/* It stops, and puts no more; what was claimed for it is let go. */
static void test_too_many_errors(void **state)
{
	struct world *w = *state;
	struct io_faults faults = {.write = no_write, .arg = &(int){-EIO}};
	struct spill_files files = {store_rig_with, &w->rig};
	struct spill_result result = {.err = 0};

	io_set_faults(&faults);
	for (unsigned i = 0; i < 100 && !result.err; i++)
		store_rig_spill(&w->rig, &store_rig_all, &result);
	assert_int_equal(result.err, -EIO);
	assert_no_marks(w);
	assert_intact(w);
	io_set_faults(NULL);
	assert_int_equal(
		store_spill_begin(w->rig.store, &store_rig_all, &files), 0);
	assert_false(
		store_spill_body(w->rig.store, store_rig_file(&w->rig, 0)));
	store_spill_end(w->rig.store, &result);
	backing_resume(w->rig.backing);
	store_rig_spill(&w->rig, &store_rig_all, &result);
	assert_int_equal(result.pages, PAGES);
	assert_intact(w);
}

/* What was read is not what is there: lost for its reader, as it was after. */
static int flip(void *arg UNUSED, uint64_t offset UNUSED, void *buf,
		size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i += 16)
		((unsigned char *)buf)[i] ^= 1;
	return 0;
}

static int no_read(void *arg UNUSED, uint64_t offset UNUSED, void *buf UNUSED,
		   size_t n_bytes UNUSED)
{
	return -EIO;
}

static void bad_reads(struct world *w, const struct io_faults *faults)
{
	struct file file = store_rig_file(&w->rig, 0);
	uint64_t pages;
	size_t done;

	io_set_faults(faults);
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, 1), -EIO);
	assert_int_equal(store_write(w->rig.store, w->rig.stream, file, 7, "x",
				     1, &done),
			 -EIO);
	assert_int_equal(
		store_fetch_body(w->rig.store, file, 0, UINT64_MAX, &pages),
		-EIO);
	assert_int_equal(pages, 0);
	io_set_faults(NULL);
	store_rig_check(&w->rig);
	assert_intact(w);
}

static void test_a_bad_read_is_eio_and_no_more(void **state)
{
	struct world *w = *state;
	struct spill_result result;

	store_set_promote(w->rig.store, 0);
	store_rig_spill(&w->rig, &store_rig_all, &result);
	bad_reads(w, &(struct io_faults){.read = flip});
	bad_reads(w, &(struct io_faults){.read = no_read});
}

/* Of the right segment, verified, and yet another page's. */
static void test_anothers_extent_is_not_served(void **state)
{
	struct world *w = *state;
	struct spill_result result;
	uint64_t word[2];

	store_rig_spill(&w->rig, &store_rig_all, &result);
	for (unsigned i = 0; i < 2; i++)
		word[i] = store_rig_word(&w->rig, 0, i);
	for (unsigned i = 0; i < 2; i++)
		atomic_store(store_rig_slot(&w->rig, 0, i), word[1 - i]);
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, 1), -EIO);
	assert_int_equal(store_rig_read(&w->rig, 0, PAGE_BYTES, w->buf, 1),
			 -EIO);
	for (unsigned i = 0; i < 2; i++)
		atomic_store(store_rig_slot(&w->rig, 0, i),
			     word[i] + (UINT64_C(1) << ENTRY_GENERATION_SHIFT));
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, 1), -EIO);
	for (unsigned i = 0; i < 2; i++)
		atomic_store(store_rig_slot(&w->rig, 0, i), word[i]);
	assert_intact(w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_claimed),
		TEST(test_put),
		TEST(test_written),
		TEST(test_found_again),
		TEST(test_the_same_claim_again),
		TEST(test_the_same_extent_again),
		TEST(test_gone_while_in_flight),
		TEST(test_nothing_comes_after_the_end),
		TEST(test_a_failed_write_leaves_all_as_it_was),
		TEST(test_overwritten_while_a_write_fails),
		TEST(test_too_many_errors),
		TEST(test_a_bad_read_is_eio_and_no_more),
		TEST(test_anothers_extent_is_not_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
