/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everybody at once: three threads that write, read, cut and punch, one that
 * sweeps and cleans, one that ages, compacts and fetches. What a thread wrote
 * last is what it reads, whatever went to disk and came back meanwhile.
 */
#include "lib/content.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include "store/state.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>

#define WRITERS 3u
#define SWEEPS 25u
#define ROUNDS 3000u /* of each writer, at least */
/* Of each writer in the file of all; in its own file. */
#define SHARED_PAGES 40u
#define OWN_PAGES 70u

static struct store_rig rig;
static _Atomic bool over;
static _Atomic uint64_t wrong;
static _Atomic unsigned writing = WRITERS; /* not done with their rounds */

struct writer {
	unsigned number;
	struct stream *stream;
	struct content random;
	/* What makes each page; 0: zeroes. */
	uint64_t shared[SHARED_PAGES], own[OWN_PAGES];
	unsigned own_pages; /* its file's size */
	unsigned char page[PAGE_BYTES], seen[PAGE_BYTES];
};

/* One seed, one page: of any length once it is compressed. */
static void make(uint64_t seed, unsigned char *page)
{
	struct content content = {.state = seed};
	size_t random;

	memset(page, 0, PAGE_BYTES);
	if (!seed)
		return;
	random = content_below(&content, PAGE_BYTES + 1);
	content_make(&content, CONTENT_RANDOM, page, random);
	page[0] = 1;
}

static void expect(bool ok)
{
	if (!ok)
		atomic_fetch_add(&wrong, 1);
}

static uint64_t new_seed(struct writer *w)
{
	return content_random(&w->random) | 1;
}

static void write_page(struct writer *w, unsigned i, uint64_t page,
		       uint64_t *seed)
{
	size_t n = 0;

	*seed = new_seed(w);
	make(*seed, w->page);
	expect(store_write(rig.store, w->stream, store_rig_file(&rig, i),
			   page * PAGE_BYTES, w->page, PAGE_BYTES, &n) == 0 &&
	       n == PAGE_BYTES);
}

static void read_page(struct writer *w, unsigned i, uint64_t page,
		      uint64_t seed)
{
	size_t n = 0;

	make(seed, w->page);
	expect(store_read(rig.store, w->stream, store_rig_file(&rig, i),
			  page * PAGE_BYTES, w->seen, PAGE_BYTES, &n) == 0);
	expect(n == PAGE_BYTES && memcmp(w->page, w->seen, n) == 0);
}

/* Neighbours are other writers': one group, one lock, one batch. */
static void shared_round(struct writer *w)
{
	unsigned i = (unsigned)content_below(&w->random, SHARED_PAGES);
	uint64_t page = i * WRITERS + w->number, byte = page * PAGE_BYTES;
	struct file file = store_rig_file(&rig, 0);

	switch (content_below(&w->random, 8)) {
	case 0:
	case 1:
		write_page(w, 0, page, &w->shared[i]);
		break;
	case 2:
		expect(store_punch(rig.store, w->stream, file, byte,
				   PAGE_BYTES) == 0);
		w->shared[i] = 0;
		break;
	case 3:
		/* The same bytes: a part of a page that may be on disk. */
		make(w->shared[i], w->page);
		expect(store_write(rig.store, w->stream, file, byte + 50,
				   w->page + 50, 1000, &byte) == 0);
		break;
	default:
		read_page(w, 0, page, w->shared[i]);
	}
}

static void cut_own(struct writer *w)
{
	unsigned pages = (unsigned)content_below(&w->random, OWN_PAGES);

	expect(store_truncate(rig.store, w->stream,
			      store_rig_file(&rig, 1 + w->number),
			      pages * (uint64_t)PAGE_BYTES) == 0);
	if (pages < w->own_pages)
		memset(&w->own[pages], 0,
		       (OWN_PAGES - pages) * sizeof(w->own[0]));
	w->own_pages = pages;
}

static void own_round(struct writer *w)
{
	unsigned page = (unsigned)content_below(&w->random, OWN_PAGES);
	uint64_t what = content_below(&w->random, 40);

	if (what == 0) {
		cut_own(w);
	} else if (what == 1) {
		store_discard(rig.store, w->stream->row,
			      store_rig_file(&rig, 1 + w->number));
		memset(w->own, 0, sizeof(w->own));
		w->own_pages = 0;
	} else if (what < 20) {
		write_page(w, 1 + w->number, page, &w->own[page]);
		if (w->own_pages <= page)
			w->own_pages = page + 1;
	} else if (page < w->own_pages) {
		read_page(w, 1 + w->number, page, w->own[page]);
	}
}

static void *write_all_the_time(void *arg)
{
	struct writer *w = arg;

	w->stream = stream_get(rig.streams, 1 + w->number);
	w->random.state = 77 + w->number;
	for (unsigned i = 0; i < SHARED_PAGES; i++)
		write_page(w, 0, i * WRITERS + w->number, &w->shared[i]);
	for (unsigned round = 0; !atomic_load(&over); round++) {
		shared_round(w);
		own_round(w);
		if (round == ROUNDS)
			atomic_fetch_sub(&writing, 1);
	}
	for (unsigned i = 0; i < SHARED_PAGES; i++)
		read_page(w, 0, i * WRITERS + w->number, w->shared[i]);
	for (unsigned i = 0; i < w->own_pages; i++)
		read_page(w, 1 + w->number, i, w->own[i]);
	stream_put(rig.streams, w->stream);
	return NULL;
}

static void *sweep_all_the_time(void *arg UNUSED)
{
	struct spill_files files = {store_rig_with, &rig};
	struct spill_pick pick = store_rig_all;
	struct spill_result result;

	for (unsigned i = 0; i < SWEEPS || atomic_load(&writing); i++) {
		pick.min_age = i % 3 ? 0 : 1;
		expect(store_spill_begin(rig.store, &pick, &files) == 0);
		for (unsigned file = 0; file <= WRITERS; file++)
			store_spill_body(rig.store, store_rig_file(&rig, file));
		while (i % 2 && store_spill_clean(rig.store, 70))
			;
		store_spill_end(rig.store, &result);
		expect(result.err == 0 && result.failed == 0);
	}
	atomic_store(&over, true);
	return NULL;
}

static void *tend_all_the_time(void *arg UNUSED)
{
	struct stream *stream = stream_get(rig.streams, 0);
	struct store_ages ages = {.bytes = {0}};

	for (unsigned i = 0; !atomic_load(&over); i++) {
		struct file file = store_rig_file(&rig, i % (WRITERS + 1));
		uint64_t pages;

		store_age_body(rig.store, file, true, &ages);
		if (i % 5 == 0)
			expect(store_fetch_body(rig.store, file, i % 50,
						i % 50 + 9, &pages) == 0);
		if (i % 3 == 0 && store_compact_begin(rig.store)) {
			store_compact_body(rig.store, stream, file);
			store_compact_end(rig.store);
		}
	}
	stream_put(rig.streams, stream);
	return NULL;
}

static void test_storm(void **state UNUSED)
{
	struct store_rig_options options = {.pool_kind = RIG_SPAN,
					    .spill = true};
	static struct writer writers[WRITERS];
	pthread_t thread[WRITERS + 2];
	struct store_stats stats;

	store_rig_up(&rig, &options);
	stream_put(rig.streams, rig.stream);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i].number = i;
		pthread_create(&thread[i], NULL, write_all_the_time,
			       &writers[i]);
	}
	pthread_create(&thread[WRITERS], NULL, sweep_all_the_time, NULL);
	pthread_create(&thread[WRITERS + 1], NULL, tend_all_the_time, NULL);
	for (unsigned i = 0; i < WRITERS + 2; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(wrong, 0);
	rig.stream = stream_get(rig.streams, 0);
	store_rig_check(&rig);
	store_stats(rig.store, &stats);
	assert_true(stats.written_back_pages > 0);
	store_rig_down(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
