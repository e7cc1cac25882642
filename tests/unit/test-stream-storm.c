/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams come, go and change codec under writers that check every page,
 * with all of it at once; meant for the sanitizer builds above all.
 */
#include "base/clock.h"
#include "base/tally.h"
#include "stream-rig.h"
#include <pthread.h>
#include <stdlib.h>

#define WRITERS 3
#define SLOTS 4
#define CHURNS 300
#define KEPT 8

struct writer {
	struct fixture *f;
	unsigned slot;
	_Atomic bool *stop;
	_Atomic uint64_t pages;
	uint64_t bad;
	/* Objects stored before, to be decoded with the set they name. */
	struct {
		char bytes[STREAM_SLOT_BYTES];
		size_t n;
		unsigned set;
		uint64_t number;
	} kept[KEPT];
};

static void make_page(char *page, uint64_t number)
{
	memset(page, (int)(number % 251), PAGE_BYTES);
	for (unsigned i = 0; i < PAGE_BYTES / 4; i++)
		page[i] = (char)((number * i) >> 3);
}

static void check_kept(struct writer *w, struct stream *s, unsigned k)
{
	char expected[PAGE_BYTES];

	make_page(expected, w->kept[k].number);
	w->bad += stream_decompress(s, w->kept[k].set, w->kept[k].bytes,
				    w->kept[k].n, s->page, PAGE_BYTES) != 0;
	w->bad += memcmp(s->page, expected, PAGE_BYTES) != 0;
	sets_count(w->f->sets, s->row, w->kept[k].set, -1);
	w->kept[k].n = 0;
}

static void store_one(struct writer *w, struct stream *s, uint64_t number)
{
	unsigned k = number % KEPT, set;
	char page[PAGE_BYTES];
	size_t n;

	if (w->kept[k].n > 0)
		check_kept(w, s, k);
	make_page(page, number);
	set = sets_enter(w->f->sets, s->row);
	n = stream_compress(s, set, page, PAGE_BYTES, s->out[k]);
	if (n > 0) {
		memcpy(w->kept[k].bytes, s->out[k], n);
		w->kept[k].n = n;
		w->kept[k].set = set;
		w->kept[k].number = number;
		sets_count(w->f->sets, s->row, set, 1);
	}
	sets_leave(w->f->sets, s->row);
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;

	while (!atomic_load(w->stop)) {
		uint64_t number = atomic_fetch_add(&w->pages, 1);
		/* Slot 0 never goes, so there always is one. */
		struct stream *s =
			stream_get(w->f->streams, w->slot + number % 2);

		if (!s) {
			w->bad++;
			continue;
		}
		store_one(w, s, number);
		stream_put(w->f->streams, s);
	}
	return NULL;
}

/* Finishing at a count alone could end before a writer has begun. */
static bool goes_on(struct writer *writers, unsigned churns)
{
	for (unsigned i = 0; i < WRITERS; i++)
		if (atomic_load(&writers[i].pages) < CHURNS / 4)
			return true;
	return churns < CHURNS;
}

static unsigned churn(struct fixture *f, unsigned n)
{
	static const struct codec_params codecs[] = {{CODEC_LZ4, 1},
						     {CODEC_ZSTD, 1},
						     {CODEC_LZ4, 8},
						     {CODEC_ZSTD, -5}};
	unsigned slot = 1 + n % (SLOTS - 1), bad = 0;

	/* Each slot in turn, up in one round and down in the next. */
	if (n / (SLOTS - 1) % 2)
		stream_down(f->streams, slot);
	else
		bad += stream_up(f->streams, slot) != 0;
	if (n % 16 == 0)
		streams_set_retire(f->streams, (enum stream_retire)(n / 16 % 3),
				   1);
	if (n % 16 == 8)
		streams_reap(f->streams, clock_ns() + 2 * NS_PER_S);
	if (n % 10 == 5) {
		const struct codec_params *to = &codecs[n / 10 % 4];

		bad += streams_prepare(f->streams, to) != 0;
		bad += sets_use(f->sets, to) != 0;
		sets_sweep(f->sets);
	}
	return bad;
}

static void test_storm(void **state)
{
	struct fixture *f = *state;
	struct writer *writers = heap_zalloc(WRITERS, sizeof(*writers));
	pthread_t threads[WRITERS];
	_Atomic bool stop = false;
	unsigned bad = 0;

	up(f, 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i].f = f;
		writers[i].slot = i;
		writers[i].stop = &stop;
		assert_int_equal(pthread_create(&threads[i], NULL, writer_main,
						&writers[i]),
				 0);
	}
	for (unsigned n = 0; goes_on(writers, n); n++)
		bad += churn(f, n);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < WRITERS; i++)
		bad += (unsigned)writers[i].bad;
	assert_int_equal(bad, 0);
	/* Slots were really freed and built again under their users. */
	for (unsigned i = 1; i < SLOTS; i++)
		assert_true(stats(f, i).built > 1);
	/* What is still stored decodes in the end, and the counts agree. */
	for (unsigned i = 0; i < WRITERS * KEPT; i++) {
		struct writer *w = &writers[i / KEPT];
		struct stream *s = stream_get(f->streams, 0);

		if (w->kept[i % KEPT].n > 0)
			check_kept(w, s, i % KEPT);
		assert_int_equal(w->bad, 0);
		stream_put(f->streams, s);
	}
	for (unsigned i = 0; i < SETS_MAX; i++)
		assert_int_equal(sets_objects(f->sets, i), 0);
	heap_free(writers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
