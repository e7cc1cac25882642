/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing and reading pages, on each pool there is (first argument): parts and
 * wholes, fill words, last pages, limits, corruption, and four threads at once.
 */
#include "lib/content.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include "store/state.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int pool_kind = RIG_SPAN;

static int up(void **state)
{
	struct store_rig_options options = {.pool_kind = pool_kind};
	struct store_rig *rig = calloc(1, sizeof(*rig));

	store_rig_up(rig, &options);
	*state = rig;
	return 0;
}

static int down(void **state)
{
	struct store_rig *rig = *state;

	store_rig_check(rig);
	store_rig_down(rig);
	free(rig);
	return 0;
}

static size_t put(struct store_rig *rig, unsigned file, uint64_t offset,
		  const void *buf, size_t n)
{
	size_t done = 0;
	int err = store_write(rig->store, rig->stream,
			      store_rig_file(rig, file), offset, buf, n, &done);

	return err ? 0 : done;
}

/* Give @n bytes at @offset into @buf; how many there were. */
static size_t get(struct store_rig *rig, unsigned file, uint64_t offset,
		  void *buf, size_t n)
{
	size_t done = 0;

	assert_int_equal(store_read(rig->store, rig->stream,
				    store_rig_file(rig, file), offset, buf, n,
				    &done),
			 0);
	return done;
}

static void assert_bytes(struct store_rig *rig, unsigned file, uint64_t offset,
			 const void *wanted, size_t n)
{
	char *buf = malloc(n);

	assert_int_equal(get(rig, file, offset, buf, n), n);
	assert_memory_equal(buf, wanted, n);
	free(buf);
}

static struct store_stats stats_of(struct store_rig *rig)
{
	struct store_stats stats;

	store_stats(rig->store, &stats);
	return stats;
}

static uint64_t root_word(struct store_rig *rig, unsigned file)
{
	return atomic_load(&store_rig_file(rig, file).body->root);
}

static void test_empty_file(void **state)
{
	struct store_rig *rig = *state;
	char buf[10] = "untouched";

	assert_int_equal(get(rig, 0, 0, buf, sizeof(buf)), 0);
	assert_int_equal(get(rig, 0, 1 << 30, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "untouched");
	assert_int_equal(put(rig, 0, 0, buf, 0), 0);
	assert_true(root_word(rig, 0) == 0);
}

/* Any length at any place: what was there before stays around it. */
static void test_parts_of_pages(void **state)
{
	static const size_t lengths[] = {1, 7, 8, 200, 4095, 4096, 4097, 9000};
	static const unsigned offsets[] = {0, 1, 100, 4000, 4095, 4096, 12288};
	struct store_rig *rig = *state;
	struct content random = {1};
	char model[6 * PAGE_BYTES], new[9000];

	content_make_any(&random, model, sizeof(model));
	assert_int_equal(put(rig, 0, 0, model, sizeof(model)), sizeof(model));
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		for (size_t k = 0; k < ARRAY_SIZE(offsets); k++) {
			content_make_any(&random, new, lengths[i]);
			memcpy(model + offsets[k], new, lengths[i]);
			assert_int_equal(
				put(rig, 0, offsets[k], new, lengths[i]),
				lengths[i]);
			assert_bytes(rig, 0, 0, model, sizeof(model));
			assert_bytes(rig, 0, offsets[k], new, lengths[i]);
		}
}

static void test_kinds_of_content(void **state)
{
	struct store_rig *rig = *state;
	struct content random = {2};
	char page[PAGE_BYTES];

	for (unsigned kind = 0; kind < CONTENT_NR; kind++) {
		struct store_stats before = stats_of(rig), after;
		uint64_t fills = table_used(rig->arena, TABLE_FILLS);

		content_make(&random, (enum content_kind)kind, page,
			     sizeof(page));
		assert_int_equal(
			put(rig, 0, kind * PAGE_BYTES, page, sizeof(page)),
			sizeof(page));
		assert_bytes(rig, 0, kind * PAGE_BYTES, page, sizeof(page));
		after = stats_of(rig);
		assert_int_equal(after.same_pages - before.same_pages,
				 kind < CONTENT_TEXT);
		assert_int_equal(after.huge_pages - before.huge_pages,
				 kind == CONTENT_RANDOM);
		assert_int_equal(table_used(rig->arena, TABLE_FILLS) - fills,
				 kind == CONTENT_FILL_LARGE);
		if (kind < CONTENT_TEXT)
			assert_true(after.compr_data_bytes ==
				    before.compr_data_bytes);
		else
			assert_true(after.compr_data_bytes -
					    before.compr_data_bytes <=
				    (kind == CONTENT_RANDOM ? 4096 : 3840));
	}
}

/* Every kind takes the place of every kind; nothing is left of the old. */
static void test_each_kind_replaces_each(void **state)
{
	struct store_rig *rig = *state;
	struct content random = {3};
	char page[PAGE_BYTES];
	struct pool_stats pool;

	for (unsigned i = 0; i < CONTENT_NR * CONTENT_NR; i++) {
		content_make(&random, (enum content_kind)(i / CONTENT_NR), page,
			     sizeof(page));
		put(rig, 0, 0, page, sizeof(page));
		content_make(&random, (enum content_kind)(i % CONTENT_NR), page,
			     sizeof(page));
		put(rig, 0, 0, page, sizeof(page));
		assert_bytes(rig, 0, 0, page, sizeof(page));
		store_rig_check(rig);
	}
	pool_stats(rig->pool, &pool);
	assert_true(pool.objects <= 1);
	assert_int_equal(stats_of(rig).pages_stored, 1);
}

static void test_last_page_has_its_real_length(void **state)
{
	struct store_rig *rig = *state;
	struct content random = {4};
	char buf[200];
	struct pool_stats pool;

	content_make(&random, CONTENT_RANDOM, buf, sizeof(buf));
	assert_int_equal(put(rig, 0, 0, buf, sizeof(buf)), sizeof(buf));
	pool_stats(rig->pool, &pool);
	assert_int_equal(pool.object_bytes, 200);
	assert_false(root_is_node(root_word(rig, 0)));
	/* Appending makes it longer by what was appended. */
	assert_int_equal(put(rig, 0, 200, buf, 5), 5);
	pool_stats(rig->pool, &pool);
	assert_int_equal(pool.object_bytes, 208);
	assert_bytes(rig, 0, 200, buf, 5);
	assert_bytes(rig, 0, 0, buf, 200);
	/* A word repeated in a short page is no fill page. */
	memset(buf, 0x11, sizeof(buf));
	assert_int_equal(put(rig, 1, 0, buf, 16), 16);
	assert_int_equal(stats_of(rig).same_pages, 0);
	assert_int_equal(put(rig, 1, 100, buf, 1), 1);
	memset(buf + 16, 0, 84);
	assert_bytes(rig, 1, 0, buf, 100);
}

static void test_holes_read_as_zeroes(void **state)
{
	struct store_rig *rig = *state;
	char buf[3 * PAGE_BYTES], zero[3 * PAGE_BYTES] = {0};
	uint64_t far = (uint64_t)FILE_MAX_BYTES - 1;

	assert_int_equal(put(rig, 0, far, "x", 1), 1);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(get(rig, 0, UINT64_C(1) << 40, buf, sizeof(buf)),
			 sizeof(buf));
	assert_memory_equal(buf, zero, sizeof(buf));
	assert_int_equal(get(rig, 0, far - 5, buf, 100), 6);
	assert_memory_equal(buf, "\0\0\0\0\0x", 6);
	assert_int_equal(stats_of(rig).pages_stored, 1);
}

static void test_beyond_the_largest_file(void **state)
{
	struct store_rig *rig = *state;
	uint64_t end = (uint64_t)FILE_MAX_BYTES;
	size_t done = 0;
	char buf[100] = {1};

	assert_int_equal(store_write(rig->store, rig->stream,
				     store_rig_file(rig, 0), end, buf, 1,
				     &done),
			 -EFBIG);
	assert_int_equal(store_write(rig->store, rig->stream,
				     store_rig_file(rig, 0), UINT64_MAX, buf, 1,
				     &done),
			 -EFBIG);
	assert_int_equal(put(rig, 0, end - 40, buf, 100), 40);
	assert_int_equal(store_truncate(rig->store, rig->stream,
					store_rig_file(rig, 0), end + 1),
			 -EFBIG);
}

static void test_size_limit_is_exact(void **state)
{
	struct store_rig *rig = *state;
	struct content random = {5};
	char *buf = malloc(100 * PAGE_BYTES);
	size_t done = 7;

	content_make_any(&random, buf, 100 * PAGE_BYTES);
	store_set_limit(rig->store, 70 * PAGE_BYTES + 5);
	/* As far as it goes: over a batch and a group. */
	assert_int_equal(put(rig, 0, 0, buf, 100 * PAGE_BYTES),
			 70 * PAGE_BYTES);
	assert_int_equal(stats_of(rig).pages_stored, 70);
	assert_bytes(rig, 0, 0, buf, 70 * PAGE_BYTES);
	assert_int_equal(store_write(rig->store, rig->stream,
				     store_rig_file(rig, 1), 0, buf, 10, &done),
			 -ENOSPC);
	assert_int_equal(done, 7);
	assert_true(stats_of(rig).size_limit_hit >= 2);
	/* What is held may be written again. */
	assert_int_equal(put(rig, 0, PAGE_BYTES, buf, 3 * PAGE_BYTES),
			 3 * PAGE_BYTES);
	assert_int_equal(put(rig, 0, 100, buf, 10), 10);
	/* Freeing makes room at once. */
	assert_int_equal(store_punch(rig->store, rig->stream,
				     store_rig_file(rig, 0), 0, PAGE_BYTES),
			 0);
	assert_int_equal(put(rig, 1, 0, buf, 10), 10);
	/* Below what is held: nothing is lost. */
	store_set_limit(rig->store, 0);
	assert_int_equal(put(rig, 1, PAGE_BYTES, buf, 10), 0);
	assert_bytes(rig, 1, 0, buf, 10);
	free(buf);
}

static void test_mem_limit_ends_a_write_short(void **state)
{
	struct store_rig *rig = *state;
	struct content random = {6};
	size_t n = 4 * MIB, done;
	char *buf = malloc(n);

	content_make(&random, CONTENT_RANDOM, buf, n);
	budget_set_limit(&rig->budget, budget_used(&rig->budget) +
					       BUDGET_RESERVE_BYTES + MIB);
	done = put(rig, 0, 0, buf, n);
	assert_true(done > 0 && done < n);
	assert_int_equal(done % PAGE_BYTES, 0);
	assert_true(stats_of(rig).mem_limit_hit > 0);
	assert_true(budget_used(&rig->budget) <= budget_limit(&rig->budget));
	assert_bytes(rig, 0, 0, buf, done);
	store_rig_check(rig);
	/* Deleting makes room at once. */
	store_discard(rig->store, 0, store_rig_file(rig, 0));
	assert_int_equal(put(rig, 1, 0, buf, MIB / 2), MIB / 2);
	budget_set_limit(&rig->budget, GIB);
	free(buf);
}

/* Objects of an old codec are read and replaced while another one is used. */
static void test_codec_change(void **state)
{
	struct store_rig *rig = *state;
	struct content random = {7};
	struct store_file_info info;
	char buf[8 * PAGE_BYTES];

	for (unsigned i = 0; i < 8; i++)
		content_make(&random, CONTENT_TEXT, buf + i * PAGE_BYTES,
			     PAGE_BYTES);
	put(rig, 0, 0, buf, sizeof(buf));
	store_rig_use(rig, "zstd:3");
	put(rig, 0, 0, buf, 4 * PAGE_BYTES);
	assert_bytes(rig, 0, 0, buf, sizeof(buf));
	store_file_info(rig->store, store_rig_file(rig, 0), &info);
	assert_int_equal(info.pages[CODEC_LZ4], 4);
	assert_int_equal(info.pages[CODEC_ZSTD], 4);
	assert_int_equal(info.logical_bytes, sizeof(buf));
	assert_true(info.resident_bytes > 0 &&
		    info.resident_bytes < sizeof(buf));
	store_rig_use(rig, "none");
	put(rig, 0, 0, buf, sizeof(buf));
	store_file_info(rig->store, store_rig_file(rig, 0), &info);
	assert_int_equal(info.pages[CODEC_RAW], 8);
	assert_bytes(rig, 0, 0, buf, sizeof(buf));
}

/* Change the byte @at of page @page's object in the pool itself. */
static void corrupt(struct store_rig *rig, unsigned file, uint64_t page,
		    size_t at)
{
	char scratch[POOL_OBJECT_MAX];
	struct pool_view view;
	unsigned n;
	uint64_t word = atomic_load(map_slots(
		rig->arena, store_rig_file(rig, file).body, page, &n));

	assert_int_equal(entry_kind(word), ENTRY_RAM);
	assert_int_equal(
		pool_read_begin(rig->pool, entry_handle(word), scratch, &view),
		0);
	((char *)(uintptr_t)view.piece[0])[at] ^= 0x7f;
	pool_read_end(rig->pool, entry_handle(word), &view);
}

static void test_corruption_is_eio(void **state)
{
	struct store_rig *rig = *state;
	struct content random = {8};
	char buf[3 * PAGE_BYTES], got[3 * PAGE_BYTES];
	size_t done = 0;

	if (pool_kind != RIG_SPAN)
		return;
	store_rig_use(rig, "zstd:1");
	for (unsigned i = 0; i < 3; i++)
		content_make(&random, CONTENT_TEXT, buf + i * PAGE_BYTES,
			     PAGE_BYTES);
	put(rig, 0, 0, buf, sizeof(buf));
	corrupt(rig, 0, 1, 0); /* the frame's magic */
	assert_int_equal(store_read(rig->store, rig->stream,
				    store_rig_file(rig, 0), 0, got, sizeof(got),
				    &done),
			 -EIO);
	assert_int_equal(stats_of(rig).read_errors, 1);
	assert_bytes(rig, 0, 0, buf, PAGE_BYTES);
	assert_bytes(rig, 0, 2 * PAGE_BYTES, buf + 2 * PAGE_BYTES, PAGE_BYTES);
	/* Part of it cannot be kept, so part of it cannot be written. */
	assert_int_equal(store_write(rig->store, rig->stream,
				     store_rig_file(rig, 0), PAGE_BYTES + 10,
				     buf, 10, &done),
			 -EIO);
	/* The entry stays until the page is written whole. */
	assert_int_equal(put(rig, 0, PAGE_BYTES, buf, PAGE_BYTES), PAGE_BYTES);
	assert_bytes(rig, 0, PAGE_BYTES, buf, PAGE_BYTES);
}

static void test_bodies_written_whole(void **state)
{
	struct store_rig *rig = *state;
	struct file file = store_rig_file(rig, 0);
	struct content random = {9};
	char buf[65536];

	content_make(&random, CONTENT_RANDOM, buf, sizeof(buf));
	assert_int_equal(store_fill_body(rig->store, rig->stream, file, buf, 0),
			 0);
	assert_int_equal(store_fill_body(rig->store, rig->stream, file, buf,
					 sizeof(buf)),
			 0);
	assert_bytes(rig, 0, 0, buf, sizeof(buf));
	/* Without room for all of it there is nothing of it. */
	store_set_limit(rig->store, 20 * PAGE_BYTES);
	file = store_rig_file(rig, 1);
	assert_int_equal(store_fill_body(rig->store, rig->stream, file, buf,
					 sizeof(buf)),
			 -ENOSPC);
	assert_true(atomic_load(&file.body->root) == 0);
	assert_int_equal(stats_of(rig).pages_stored, 16);
}

static void test_touching_makes_young(void **state)
{
	struct store_rig *rig = *state;
	struct file file = store_rig_file(rig, 0);
	char buf[PAGE_BYTES] = {1, 2};

	put(rig, 0, 0, buf, sizeof(buf));
	atomic_fetch_or(&file.body->root, ENTRY_SOFT);
	get(rig, 0, 0, buf, 1);
	assert_int_equal(root_word(rig, 0) & ENTRY_SOFT, 0);
	atomic_fetch_or(&file.body->root, ENTRY_SOFT);
	put(rig, 0, 0, buf, 1);
	assert_int_equal(root_word(rig, 0) & ENTRY_SOFT, 0);
}

/* --- four threads --- */

#define STORM_THREADS 4
#define STORM_PAGES 200u
#define STORM_ROUNDS 400u

struct storm {
	struct store_rig *rig;
	unsigned thread;
	uint64_t wrong;
};

/* A page as one thread wrote it: its number in each word, no fill page. */
static void stamp(uint64_t *page, unsigned thread, uint64_t round)
{
	for (unsigned i = 0; i < PAGE_BYTES / 8; i++)
		page[i] = (uint64_t)thread << 32 | round << 8 | (i & 7);
}

static bool is_one_stamp(const uint64_t *page)
{
	for (unsigned i = 0; i < PAGE_BYTES / 8; i++)
		if (page[i] != (page[0] ? page[0] | (i & 7) : 0))
			return false;
	return true;
}

/* Whole pages of file 0 by everybody; bytes of their own in pages of file 1;
 * cuts and growth of file 2. */
static void storm_round(struct storm *s, struct stream *stream,
			struct content *random, uint64_t round)
{
	struct store *store = s->rig->store;
	struct file file = store_rig_file(s->rig, 0);
	uint64_t page = content_below(random, STORM_PAGES);
	uint64_t buf[3 * PAGE_BYTES / 8];
	unsigned char mine = (unsigned char)(round | 1), seen;
	size_t n;

	for (unsigned i = 0; i < 3; i++)
		stamp(buf + i * PAGE_BYTES / 8, s->thread + 1, round);
	s->wrong += store_write(store, stream, file, page * PAGE_BYTES, buf,
				sizeof(buf), &n) != 0;
	page = content_below(random, STORM_PAGES);
	s->wrong += store_read(store, stream, file, page * PAGE_BYTES, buf,
			       PAGE_BYTES, &n) != 0;
	s->wrong += n == PAGE_BYTES && !is_one_stamp(buf);
	if (round % 8 == 0)
		s->wrong +=
			store_punch(store, stream, file, page * PAGE_BYTES,
				    (round % 64 ? 2 : 90) * PAGE_BYTES) != 0;

	/* Nobody else writes this byte: it must be what was written. */
	file = store_rig_file(s->rig, 1);
	page = content_below(random, 12) * PAGE_BYTES + s->thread * 1000;
	s->wrong += store_write(store, stream, file, page, &mine, 1, &n) != 0;
	s->wrong += store_read(store, stream, file, page, &seen, 1, &n) != 0;
	s->wrong += n != 1 || seen != mine;

	file = store_rig_file(s->rig, 2);
	page = content_below(random, STORM_PAGES) * 5000;
	if (round % 4 == 0)
		s->wrong += store_truncate(store, stream, file, page) != 0;
	else
		s->wrong += store_write(store, stream, file, page, &mine, 1,
					&n) != 0;
}

static void *storm_thread(void *arg)
{
	struct storm *s = arg;
	struct content random = {s->thread + 1};
	struct stream *stream = stream_get(s->rig->streams, s->thread);

	for (uint64_t round = 1; round <= STORM_ROUNDS; round++)
		storm_round(s, stream, &random, round);
	stream_put(s->rig->streams, stream);
	return NULL;
}

static void test_four_threads(void **state)
{
	struct store_rig *rig = *state;
	struct storm storm[STORM_THREADS];
	pthread_t thread[STORM_THREADS];

	/* All slots are the threads' now. */
	stream_put(rig->streams, rig->stream);
	for (unsigned i = 0; i < STORM_THREADS; i++) {
		storm[i] = (struct storm){rig, i, 0};
		assert_int_equal(pthread_create(&thread[i], NULL, storm_thread,
						&storm[i]),
				 0);
	}
	for (unsigned i = 0; i < STORM_THREADS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(storm[i].wrong, 0);
	}
	rig->stream = stream_get(rig->streams, 0);
	assert_non_null(rig->stream);
	assert_int_equal(store_rig_attach(rig), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_empty_file, up, down),
		cmocka_unit_test_setup_teardown(test_parts_of_pages, up, down),
		cmocka_unit_test_setup_teardown(test_kinds_of_content, up,
						down),
		cmocka_unit_test_setup_teardown(test_each_kind_replaces_each,
						up, down),
		cmocka_unit_test_setup_teardown(
			test_last_page_has_its_real_length, up, down),
		cmocka_unit_test_setup_teardown(test_holes_read_as_zeroes, up,
						down),
		cmocka_unit_test_setup_teardown(test_beyond_the_largest_file,
						up, down),
		cmocka_unit_test_setup_teardown(test_size_limit_is_exact, up,
						down),
		cmocka_unit_test_setup_teardown(
			test_mem_limit_ends_a_write_short, up, down),
		cmocka_unit_test_setup_teardown(test_codec_change, up, down),
		cmocka_unit_test_setup_teardown(test_corruption_is_eio, up,
						down),
		cmocka_unit_test_setup_teardown(test_bodies_written_whole, up,
						down),
		cmocka_unit_test_setup_teardown(test_touching_makes_young, up,
						down),
		cmocka_unit_test_setup_teardown(test_four_threads, up, down),
	};

	if (argc > 1)
		pool_kind = store_rig_kind(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
