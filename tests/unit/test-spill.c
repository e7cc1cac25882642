/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages that go to disk and come back: what is chosen, what reads as before,
 * what every operation makes of them, and what all of it counts as.
 */
#include "lib/unit.h"
#include "lib/world.h"
#include "store/state.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGES 200u
#define BYTES (PAGES * (size_t)PAGE_BYTES)
/* Of these, in turn: three that compress, one raw, one of a word. */
#define KINDS 5u

static void make_page(struct content *random, unsigned page,
		      unsigned char *bytes)
{
	static const enum content_kind kinds[KINDS] = {
		CONTENT_TEXT, CONTENT_MIXED, CONTENT_RANDOM, CONTENT_TEXT,
		CONTENT_FILL_SMALL};

	content_make(random, kinds[page % KINDS], bytes, PAGE_BYTES);
}

static int up(void **state)
{
	*state = world_new(PAGES, 7, make_page, 0);
	return 0;
}

static int down(void **state)
{
	world_free(*state);
	return 0;
}

static uint64_t pool_objects(struct world *w)
{
	struct pool_stats stats;

	pool_stats(w->rig.pool, &stats);
	return stats.objects;
}

static struct spill_result spill(struct world *w, const struct spill_pick *pick)
{
	struct spill_result result;

	store_rig_spill(&w->rig, pick, &result);
	store_rig_check(&w->rig);
	return result;
}

static void spill_all(struct world *w)
{
	struct spill_result result = spill(w, &store_rig_all);

	assert_int_equal(result.err, 0);
	assert_int_equal(result.changed + result.failed, 0);
	assert_int_equal(pool_objects(w), 0);
}

static bool is_spilled(struct world *w, uint64_t page)
{
	return entry_kind(store_rig_word(&w->rig, 0, page)) == ENTRY_SPILLED;
}

static void assert_reads(struct world *w, size_t n)
{
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, n), 0);
	assert_memory_equal(w->buf, w->model, n);
}

static void test_round_trip(void **state)
{
	struct world *w = *state;
	struct store_stats before = world_stats(w), after;
	struct backing_stats backing;
	struct store_file_info info;

	spill_all(w);
	after = world_stats(w);
	assert_int_equal(after.pages_stored, PAGES);
	assert_int_equal(after.same_pages, PAGES / KINDS);
	assert_int_equal(after.spilled_pages, PAGES - PAGES / KINDS);
	assert_int_equal(after.huge_pages, 0);
	assert_int_equal(after.compr_data_bytes, 0);
	assert_int_equal(after.written_back_pages, after.spilled_pages);
	assert_int_equal(after.written_back_bytes, before.compr_data_bytes);
	store_file_info(w->rig.store, store_rig_file(&w->rig, 0), &info);
	assert_int_equal(info.spilled_pages, after.spilled_pages);
	assert_int_equal(info.spilled_bytes, after.spilled_bytes);
	assert_reads(w, BYTES);
	assert_int_equal(world_stats(w).spill_reads, after.spilled_pages);
	/* Neighbours in one go. */
	backing_stats(w->rig.backing, &backing);
	assert_true(backing.reads < after.spilled_pages / 8);
}

static void test_reads_of_parts(void **state)
{
	struct world *w = *state;

	spill_all(w);
	for (unsigned i = 0; i < 300; i++) {
		size_t from = content_below(&w->random, BYTES - 1);
		size_t n = 1 + content_below(&w->random, BYTES - from < 20000
								 ? BYTES - from
								 : 20000);

		assert_int_equal(store_rig_read(&w->rig, 0, from, w->buf, n),
				 0);
		assert_memory_equal(w->buf, w->model + from, n);
	}
}

/* --- choosing --- */

static void tick(struct world *w, struct store_ages *ages)
{
	memset(ages, 0, sizeof(*ages));
	store_age_body(w->rig.store, store_rig_file(&w->rig, 0), true, ages);
}

static void test_ages(void **state)
{
	struct world *w = *state;
	struct store_ages ages;
	uint64_t raw_bytes = PAGES / KINDS * (uint64_t)PAGE_BYTES;
	uint64_t bytes = world_stats(w).compr_data_bytes - raw_bytes;

	for (unsigned i = 1; i < 20; i++) {
		unsigned age = i < 15 ? i : 15;

		tick(w, &ages);
		assert_int_equal(ages.bytes[age], bytes);
		assert_int_equal(ages.raw_bytes[age], raw_bytes);
	}
	/* A look changes nothing; a read makes young. */
	assert_int_equal(store_rig_read(&w->rig, 0, 2 * PAGE_BYTES, w->buf, 1),
			 0);
	memset(&ages, 0, sizeof(ages));
	store_age_body(w->rig.store, store_rig_file(&w->rig, 0), false, &ages);
	assert_int_equal(ages.raw_bytes[0], PAGE_BYTES);
	assert_int_equal(ages.raw_bytes[15], raw_bytes - PAGE_BYTES);
	assert_int_equal(ages.bytes[15], bytes);
}

static void test_only_the_old(void **state)
{
	struct world *w = *state;
	struct spill_pick pick = store_rig_all;
	struct store_ages ages;

	tick(w, &ages);
	tick(w, &ages);
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, 4 * PAGE_BYTES),
			 0);
	pick.min_age = pick.raw_min_age = 3;
	assert_int_equal(spill(w, &pick).pages, 0);
	pick.min_age = pick.raw_min_age = 2;
	assert_int_equal(spill(w, &pick).pages, (PAGES - 5) * 4 / 5);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(is_spilled(w, i), i >= 4 && i % KINDS != 4);
}

static void test_raw_and_others_apart(void **state)
{
	struct world *w = *state;
	struct spill_pick pick = store_rig_all;

	pick.min_age = SPILL_NONE;
	assert_int_equal(spill(w, &pick).pages, PAGES / KINDS);
	assert_int_equal(world_stats(w).huge_pages, 0);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(is_spilled(w, i), i % KINDS == 2);
	pick.min_age = 0;
	pick.raw_min_age = SPILL_NONE;
	assert_int_equal(spill(w, &pick).pages, PAGES * 3 / KINDS);
}

static void test_a_range_of_pages(void **state)
{
	struct world *w = *state;
	struct spill_pick pick = store_rig_all;

	pick.first_page = 61;
	pick.end_page = 130;
	spill(w, &pick);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(is_spilled(w, i),
				 i >= 61 && i < 130 && i % KINDS != 4);
	assert_reads(w, BYTES);
}

static void test_a_budget_is_never_passed(void **state)
{
	struct world *w = *state;
	struct spill_pick pick = store_rig_all;
	struct spill_result result;

	pick.budget_bytes = 0;
	assert_int_equal(spill(w, &pick).pages, 0);
	pick.budget_bytes = 50000;
	result = spill(w, &pick);
	assert_true(result.bytes <= 50000 && result.bytes > 40000);
	assert_int_equal(result.err, 0);
	assert_int_equal(world_stats(w).spilled_pages, result.pages);
}

static void test_one_sweep_at_a_time(void **state)
{
	struct world *w = *state;
	struct spill_files files = {store_rig_with, &w->rig};
	struct spill_result result;

	assert_int_equal(
		store_spill_begin(w->rig.store, &store_rig_all, &files), 0);
	assert_int_equal(
		store_spill_begin(w->rig.store, &store_rig_all, &files),
		-EAGAIN);
	store_spill_end(w->rig.store, &result);
	assert_int_equal(result.pages, 0);
	spill_all(w);
}

static void test_no_file_no_sweep(void **state)
{
	struct world *w = *state;
	struct spill_files files = {store_rig_with, &w->rig};

	assert_int_equal(backing_close(w->rig.backing), 0);
	assert_int_equal(
		store_spill_begin(w->rig.store, &store_rig_all, &files),
		-ENODEV);
	store_rig_reopen(&w->rig);
}

/* An owner's page number has 32 bits: what is beyond stays. */
static void test_pages_far_out_stay(void **state)
{
	struct world *w = *state;
	uint64_t far = (UINT64_C(1) << 32) * PAGE_BYTES;

	store_rig_write(&w->rig, 1, far - 2 * PAGE_BYTES, w->model,
			4 * PAGE_BYTES);
	spill(w, &store_rig_all);
	assert_int_equal(
		entry_kind(store_rig_word(&w->rig, 1, (far >> PAGE_SHIFT) - 2)),
		ENTRY_SPILLED);
	assert_int_equal(
		entry_kind(store_rig_word(&w->rig, 1, far >> PAGE_SHIFT)),
		ENTRY_RAM);
	assert_int_equal(store_rig_read(&w->rig, 1, far - 2 * PAGE_BYTES,
					w->buf, 4 * PAGE_BYTES),
			 0);
	assert_memory_equal(w->buf, w->model, 4 * PAGE_BYTES);
}

/* --- coming back --- */

static void read_one(struct world *w, unsigned page)
{
	assert_int_equal(store_rig_read(&w->rig, 0, page * (uint64_t)PAGE_BYTES,
					w->buf, PAGE_BYTES),
			 0);
	assert_memory_equal(w->buf, w->model + page * PAGE_BYTES, PAGE_BYTES);
}

static void test_the_second_read_promotes(void **state)
{
	struct world *w = *state;

	spill_all(w);
	assert_reads(w, BYTES);
	assert_int_equal(world_stats(w).brought_back_pages, 0);
	for (unsigned i = 0; i < 4; i++) {
		read_one(w, i);
		assert_false(is_spilled(w, i));
		store_rig_check(&w->rig);
		read_one(w, i);
	}
	assert_int_equal(world_stats(w).brought_back_pages, 4);
	assert_int_equal(world_stats(w).huge_pages, 1);
	assert_int_equal(world_stats(w).spill_reads, PAGES * 4 / KINDS + 4);
}

static void test_two_scans_apart_do_not(void **state)
{
	struct world *w = *state;
	struct store_ages ages;

	spill_all(w);
	read_one(w, 0);
	for (unsigned i = 0; i < ENTRY_AGAIN_TICKS; i++)
		tick(w, &ages);
	read_one(w, 0);
	assert_true(is_spilled(w, 0));
	tick(w, &ages);
	read_one(w, 0);
	assert_false(is_spilled(w, 0));
}

static void test_no_promotion(void **state)
{
	struct world *w = *state;
	uint64_t limit = budget_limit(&w->rig.budget);

	spill_all(w);
	store_set_promote(w->rig.store, 0);
	for (unsigned i = 0; i < 3; i++)
		assert_reads(w, BYTES);
	store_set_promote(w->rig.store, ENTRY_AGAIN_TICKS);
	/* There would be room, but it is left to those who write. */
	budget_set_limit(&w->rig.budget, budget_used(&w->rig.budget) +
						 BUDGET_RESERVE_BYTES +
						 64 * KIB);
	assert_reads(w, BYTES);
	assert_int_equal(world_stats(w).brought_back_pages, 0);
	budget_set_limit(&w->rig.budget, limit);
	assert_reads(w, BYTES);
	assert_int_equal(world_stats(w).spilled_pages, 0);
}

static void test_fetch(void **state)
{
	struct world *w = *state;
	struct file file = store_rig_file(&w->rig, 0);
	uint64_t pages;

	spill_all(w);
	assert_int_equal(store_fetch_body(w->rig.store, file, 3, 7, &pages), 0);
	assert_int_equal(pages, 3);
	assert_int_equal(
		store_fetch_body(w->rig.store, file, 0, UINT64_MAX, &pages), 0);
	assert_int_equal(pages, PAGES * 4 / KINDS - 3);
	assert_int_equal(world_stats(w).spilled_pages, 0);
	store_rig_check(&w->rig);
	assert_reads(w, BYTES);
	assert_int_equal(backing_close(w->rig.backing), 0);
	store_rig_reopen(&w->rig);
}

static void test_fetch_without_room(void **state)
{
	struct world *w = *state;
	struct file file = store_rig_file(&w->rig, 0);
	uint64_t limit = budget_limit(&w->rig.budget), pages;

	spill_all(w);
	budget_set_limit(&w->rig.budget, 0);
	assert_int_equal(
		store_fetch_body(w->rig.store, file, 0, UINT64_MAX, &pages),
		-ENOSPC);
	assert_int_equal(world_stats(w).spilled_pages + pages,
			 PAGES * 4 / KINDS);
	assert_true(world_stats(w).spilled_pages > 0);
	store_rig_check(&w->rig);
	assert_reads(w, BYTES);
	budget_set_limit(&w->rig.budget, limit);
}

/* --- what others do with spilled pages --- */

static void test_partial_writes(void **state)
{
	struct world *w = *state;

	spill_all(w);
	for (unsigned i = 0; i < PAGES; i++) {
		/* From its first byte on as well: that is not all of it. */
		size_t at = i * (size_t)PAGE_BYTES +
			    (i % 2 ? content_below(&w->random, 4000) : 0);

		memset(w->model + at, 0x5a, 96);
		store_rig_write(&w->rig, 0, at, w->model + at, 96);
	}
	store_rig_check(&w->rig);
	assert_int_equal(world_stats(w).spilled_pages, 0);
	assert_reads(w, BYTES);
}

/* There is room for what the write makes and not for the page besides. */
static void test_partial_write_without_room(void **state)
{
	struct world *w = *state;
	uint64_t limit = budget_limit(&w->rig.budget);
	size_t done;
	int err = 0;

	spill_all(w);
	budget_set_limit(&w->rig.budget, 0);
	for (unsigned i = 0; i < PAGES && !err; i++) {
		err = store_write(
			w->rig.store, w->rig.stream, store_rig_file(&w->rig, 0),
			i * (uint64_t)PAGE_BYTES + 5, "hello", 5, &done);
		if (!err)
			memcpy(w->model + i * PAGE_BYTES + 5, "hello", 5);
	}
	assert_true(err == 0 || err == -ENOSPC);
	assert_reads(w, BYTES);
	budget_set_limit(&w->rig.budget, limit);
}

static void test_whole_writes_read_nothing(void **state)
{
	struct world *w = *state;
	uint64_t reads;

	spill_all(w);
	reads = world_stats(w).spill_reads;
	for (unsigned i = 0; i < PAGES; i++)
		make_page(&w->random, i, w->model + i * PAGE_BYTES);
	store_rig_write(&w->rig, 0, 0, w->model, BYTES);
	assert_int_equal(world_stats(w).spill_reads, reads);
	assert_int_equal(world_stats(w).spilled_pages, 0);
	store_rig_check(&w->rig);
	assert_reads(w, BYTES);
}

static void test_cuts_and_holes(void **state)
{
	struct world *w = *state;
	struct store *store = w->rig.store;
	struct stream *stream = w->rig.stream;
	struct file file = store_rig_file(&w->rig, 0);
	size_t size = 150 * PAGE_BYTES + 1000;
	uint64_t copied, at;

	spill_all(w);
	assert_int_equal(store_truncate(store, stream, file, size), 0);
	memset(w->model + size, 0, BYTES - size);
	store_rig_check(&w->rig);
	assert_reads(w, size);
	spill(w, &store_rig_all);
	assert_int_equal(
		store_punch(store, stream, file, 5000, 30 * PAGE_BYTES), 0);
	memset(w->model + 5000, 0, 30 * PAGE_BYTES);
	assert_int_equal(store_zero(store, stream, file, 40 * PAGE_BYTES + 9,
				    3 * PAGE_BYTES, true),
			 0);
	memset(w->model + 40 * PAGE_BYTES + 9, 0, 3 * PAGE_BYTES);
	spill(w, &store_rig_all);
	assert_int_equal(
		store_seek(store, file, 2 * PAGE_BYTES, SEEK_DATA, &at), 0);
	assert_int_equal(at, 31 * PAGE_BYTES);
	assert_int_equal(store_seek(store, file, at, SEEK_HOLE, &at), 0);
	assert_int_equal(at, size);
	assert_int_equal(store_copy(store, stream, file, 0,
				    store_rig_file(&w->rig, 1), 0, size,
				    &copied),
			 0);
	assert_int_equal(copied, size);
	assert_int_equal(store_rig_read(&w->rig, 1, 0, w->buf, size), 0);
	assert_memory_equal(w->buf, w->model, size);
	assert_reads(w, size);
	/* Growing by the same pages again shows nothing of before. */
	assert_int_equal(store_truncate(store, stream, file, BYTES), 0);
	assert_reads(w, BYTES);
}

static void test_attach(void **state)
{
	struct world *w = *state;
	struct spill_pick pick = store_rig_all;
	struct store_stats before, after;

	pick.end_page = 100;
	spill(w, &pick);
	before = world_stats(w);
	/* A claim of the life that ended. */
	atomic_fetch_or(&store_rig_slot(&w->rig, 0, 150)[0], ENTRY_MARK);
	assert_int_equal(store_rig_attach(&w->rig), 0);
	after = world_stats(w);
	assert_int_equal(after.spilled_pages, before.spilled_pages);
	assert_int_equal(after.spilled_bytes, before.spilled_bytes);
	assert_int_equal(after.compr_data_bytes, before.compr_data_bytes);
	assert_false(store_rig_word(&w->rig, 0, 150) & ENTRY_MARK);
	store_rig_check(&w->rig);
	assert_reads(w, BYTES);
	spill_all(w);
	assert_reads(w, BYTES);
}

/* Two entries of one extent: the second one is lost, and none is served to
 * another's page. */
static void test_attach_to_what_cannot_be(void **state)
{
	struct world *w = *state;
	uint64_t word;

	spill_all(w);
	word = store_rig_word(&w->rig, 0, 1);
	backing_free(w->rig.backing,
		     entry_extent(store_rig_word(&w->rig, 0, 0)));
	atomic_store(store_rig_slot(&w->rig, 0, 0), word);
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, PAGE_BYTES),
			 -EIO);
	assert_int_equal(store_rig_attach(&w->rig), -EUCLEAN);
	assert_int_equal(entry_kind(store_rig_word(&w->rig, 0, 1)), ENTRY_BAD);
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, 2 * PAGE_BYTES),
			 -EIO);
	assert_int_equal(store_rig_read(&w->rig, 0, 2 * PAGE_BYTES, w->buf,
					BYTES - 2 * PAGE_BYTES),
			 0);
	store_rig_write(&w->rig, 0, 0, w->model, 2 * PAGE_BYTES);
	assert_reads(w, BYTES);
}

/* What a set made may be on disk alone: it stays. */
static void test_sets_live_as_long_as_their_extents(void **state)
{
	struct world *w = *state;
	unsigned set = sets_current(w->rig.sets);

	spill_all(w);
	store_rig_use(&w->rig, "zstd:1"); /* and sweeps */
	assert_true(sets_is_live(w->rig.sets, set));
	assert_reads(w, BYTES);
	assert_int_equal(store_rig_attach(&w->rig), 0);
	assert_true(sets_is_live(w->rig.sets, set));
	assert_reads(w, BYTES);
	assert_reads(w, BYTES);
	/* All came back: now the set is held by what is in RAM. */
	assert_int_equal(world_stats(w).spilled_pages, 0);
	store_rig_write(&w->rig, 0, 0, w->model, BYTES);
	store_rig_use(&w->rig, "zstd:1");
	assert_false(sets_is_live(w->rig.sets, set));
	assert_reads(w, BYTES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip),
		TEST(test_reads_of_parts),
		TEST(test_ages),
		TEST(test_only_the_old),
		TEST(test_raw_and_others_apart),
		TEST(test_a_range_of_pages),
		TEST(test_a_budget_is_never_passed),
		TEST(test_one_sweep_at_a_time),
		TEST(test_no_file_no_sweep),
		TEST(test_pages_far_out_stay),
		TEST(test_the_second_read_promotes),
		TEST(test_two_scans_apart_do_not),
		TEST(test_no_promotion),
		TEST(test_fetch),
		TEST(test_fetch_without_room),
		TEST(test_partial_writes),
		TEST(test_partial_write_without_room),
		TEST(test_whole_writes_read_nothing),
		TEST(test_cuts_and_holes),
		TEST(test_attach),
		TEST(test_attach_to_what_cannot_be),
		TEST(test_sets_live_as_long_as_their_extents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
