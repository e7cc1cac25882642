/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Surveys of a file: sums over many pieces, pictures in few cells, lost pages. */
#include "lib/content.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include "store/state.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define CHANGES 2000u
#define FAR (UINT64_C(1) << 45) /* a page number in a map of height 8 */

static atomic_bool stop;
static atomic_uint surveys;

static int up(void **state)
{
	static struct store_rig rig;
	struct store_rig_options options = {.pool_kind = RIG_SPAN};

	store_rig_up(&rig, &options);
	*state = &rig;
	return 0;
}

static int down(void **state)
{
	store_rig_down(*state);
	return 0;
}

/* One page that is kept as its @kind is, at page number @page. */
static void put(struct store_rig *rig, uint64_t page, enum content_kind kind)
{
	struct content random = {page + 1};
	char buf[PAGE_BYTES];
	size_t done;

	content_make(&random, kind, buf, sizeof(buf));
	assert_int_equal(store_write(rig->store, rig->stream,
				     store_rig_file(rig, 0), page * PAGE_BYTES,
				     buf, sizeof(buf), &done),
			 0);
}

static void set_age(struct store_rig *rig, uint64_t page, uint64_t age)
{
	unsigned n;
	_Atomic uint64_t *slot =
		map_slots(rig->arena, store_rig_file(rig, 0).body, page, &n);

	atomic_store(slot,
		     (atomic_load(slot) & ~(ENTRY_AGE_MAX << ENTRY_AGE_SHIFT)) |
			     age << ENTRY_AGE_SHIFT);
}

/* The picture in at most @most cells as text, a tier and an age for each. */
static const char *picture(struct store_rig *rig, unsigned most,
			   uint64_t *ret_pages, uint64_t *ret_cell)
{
	static char text[256];
	struct store_cell cells[100];
	unsigned n = store_file_map(rig->store, store_rig_file(rig, 0), cells,
				    most, ret_pages, ret_cell);

	assert_true(n <= most);
	for (unsigned i = 0; i < n; i++) {
		text[2 * i] = ".fcrsb"[cells[i].tier];
		text[2 * i + 1] = "0123456789abcdef"[cells[i].age];
	}
	text[2 * n] = '\0';
	return text;
}

static void test_picture_shows_tiers_and_ages(void **state)
{
	struct store_rig *rig = *state;
	uint64_t pages, cell;

	assert_string_equal(picture(rig, 10, &pages, &cell), "");
	assert_int_equal(pages, 0);
	put(rig, 0, CONTENT_TEXT);
	assert_string_equal(picture(rig, 10, &pages, &cell), "c0");
	put(rig, 1, CONTENT_FILL_SMALL);
	put(rig, 3, CONTENT_RANDOM);
	put(rig, 4, CONTENT_TEXT);
	set_age(rig, 1, 3);
	set_age(rig, 4, 15);
	assert_string_equal(picture(rig, 10, &pages, &cell), "c0f3.0r0cf");
	assert_int_equal(pages, 5);
	assert_int_equal(cell, 1);
}

/* Cells of several pages: the most frequent tier, no hole where something is,
 * and the last cell is a part of one. */
static void test_picture_sums_up_cells(void **state)
{
	struct store_rig *rig = *state;
	uint64_t pages, cell;

	for (uint64_t page = 0; page < 3; page++)
		put(rig, page, CONTENT_RANDOM);
	put(rig, 3, CONTENT_TEXT);
	put(rig, 7, CONTENT_TEXT);
	put(rig, 16, CONTENT_FILL_SMALL);
	set_age(rig, 0, 8);
	set_age(rig, 1, 8);
	assert_string_equal(picture(rig, 5, &pages, &cell), "r4c0.0.0f0");
	assert_int_equal(cell, 4);
	assert_string_equal(picture(rig, 4, &pages, &cell), "r3.0f0");
	assert_int_equal(cell, 8);
	assert_string_equal(picture(rig, 1, &pages, &cell), "r2");
	assert_int_equal(pages, 17);
	assert_int_equal(cell, 32);
}

/* What is far away is found without a walk over what is in between, and is
 * counted once although each piece comes by the nodes above it. */
static void test_far_pages(void **state)
{
	struct store_rig *rig = *state;
	struct file file = store_rig_file(rig, 0);
	struct store_file_info near, info;
	uint64_t pages, cell;

	put(rig, 0, CONTENT_TEXT);
	put(rig, FAR, CONTENT_TEXT);
	store_file_info(rig->store, file, &near);
	assert_string_equal(picture(rig, 3, &pages, &cell), "c0.0c0");
	assert_int_equal(pages, FAR + 1);
	for (uint64_t piece = 1; piece < 9; piece++)
		put(rig, FAR + piece * 4096, CONTENT_FILL_SMALL);
	set_age(rig, FAR, 9);
	store_file_info(rig->store, file, &info);
	assert_int_equal(info.logical_bytes, 10 * PAGE_BYTES);
	assert_int_equal(info.fill_pages, 8);
	assert_int_equal(info.pages[CODEC_LZ4], 2);
	assert_int_equal(info.ages[0], 9);
	assert_int_equal(info.ages[9], 1);
	assert_int_equal(info.spilled_bytes, 0);
	/* Two new nodes for each piece, nothing above. */
	assert_int_equal(info.resident_bytes - near.resident_bytes,
			 8 * 2 * table_record_bytes(TABLE_LEAVES));
}

/* A subtree that a rebuild gave up is bad, whatever its size. */
static void test_lost_pages_are_bad(void **state)
{
	struct store_rig *rig = *state;
	struct file file = store_rig_file(rig, 0);
	uint64_t pages, cell, root;
	_Atomic uint64_t *words;
	struct store_file_info info;
	uint64_t word;

	put(rig, 0, CONTENT_TEXT);
	put(rig, FAR, CONTENT_TEXT);
	root = atomic_load(&file.body->root);
	words = node_at(rig->arena, root_ix(root), root_height(root));
	word = atomic_load(&words[0]);
	atomic_store(&words[0], NODE_BAD);
	assert_string_equal(picture(rig, 17, &pages, &cell),
			    "b0b0.0.0.0.0.0.0.0.0.0.0.0.0.0.0c0");
	store_file_info(rig->store, file, &info);
	assert_int_equal(info.logical_bytes, PAGE_BYTES);
	atomic_store(&words[0], word);
}

static void *survey_until_stopped(void *arg)
{
	struct store_rig *rig = arg;
	struct store_file_info info;
	struct store_cell cells[50];
	uint64_t sum, pages, cell;

	while (!atomic_load(&stop)) {
		store_file_info(rig->store, store_rig_file(rig, 0), &info);
		sum = 0;
		for (unsigned age = 0; age < STORE_AGES; age++)
			sum += info.ages[age];
		assert_int_equal(sum * PAGE_BYTES, info.logical_bytes);
		assert_true(store_file_map(rig->store, store_rig_file(rig, 0),
					   cells, 50, &pages, &cell) <= 50);
		atomic_fetch_add(&surveys, 1);
	}
	return NULL;
}

/* The file grows, is punched and is cut under surveys: what they touch stays
 * for as long as they do (the sanitizers look). */
static void test_file_changes_meanwhile(void **state)
{
	struct store_rig *rig = *state;
	struct file file = store_rig_file(rig, 0);
	struct content random = {5};
	pthread_t thread;

	atomic_store(&stop, false);
	atomic_store(&surveys, 0);
	assert_int_equal(
		pthread_create(&thread, NULL, survey_until_stopped, rig), 0);
	for (unsigned i = 0; i < CHANGES || atomic_load(&surveys) < CHANGES / 8;
	     i++) {
		uint64_t page = content_below(&random, 3 * 4096);

		put(rig, page, i % 3 ? CONTENT_TEXT : CONTENT_FILL_LARGE);
		if (i % 8 == 0)
			assert_int_equal(store_punch(rig->store, rig->stream,
						     file, page * PAGE_BYTES,
						     4096 * PAGE_BYTES),
					 0);
		if (i % 32 == 0)
			assert_int_equal(store_truncate(rig->store, rig->stream,
							file,
							page * PAGE_BYTES / 2),
					 0);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	store_rig_check(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_picture_shows_tiers_and_ages, up, down),
		cmocka_unit_test_setup_teardown(test_picture_sums_up_cells, up,
						down),
		cmocka_unit_test_setup_teardown(test_far_pages, up, down),
		cmocka_unit_test_setup_teardown(test_lost_pages_are_bad, up,
						down),
		cmocka_unit_test_setup_teardown(test_file_changes_meanwhile, up,
						down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
