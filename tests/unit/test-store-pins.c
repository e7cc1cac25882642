/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects that are decoded where they lie: whoever takes one away meanwhile
 * waits until it is decoded, however he takes it away, and for no other.
 */
#include "lib/content.h"
#include "lib/pool_fakes.h"
#include "lib/store_rig.h"
#include "lib/unit.h"
#include "store/state.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define PAGES 1024u
/* Objects of one size; of those behind the ones that are read, one in so many
 * stays: compaction finds thin spans. */
#define OBJECT_BYTES 1000u
#define THIN 16u
#define READ_PAGES 8u
#define READ_BYTES (READ_PAGES * (size_t)PAGE_BYTES)
#define STORM_PAGES 96u
#define STORM_ROUNDS 160u

enum event {
	EVENT_OVERWRITE,
	EVENT_PATCH,
	EVENT_ZERO,
	EVENT_PUNCH,
	EVENT_CUT,
	EVENT_DISCARD,
	EVENT_COMPACT,
	EVENT_SPILL,
	EVENT_NR,
	EVENT_ELSEWHERE, /* overwrites what is not read */
};

/* One at a time: the hook has no argument. */
static struct world {
	struct store_rig rig;
	struct file file;
	enum event event;
	struct stream *stream; /* the other thread's */
	char model[READ_BYTES], buf[READ_BYTES], fresh[PAGE_BYTES];
	pthread_t other;
	_Atomic bool done;
	unsigned calls;
	bool waited; /* the other, while we had not decoded */
} world;

static void make_thin(struct world *w)
{
	for (unsigned i = READ_PAGES; i < PAGES; i++)
		if (i % THIN)
			assert_int_equal(store_punch(w->rig.store,
						     w->rig.stream, w->file,
						     (uint64_t)i << PAGE_SHIFT,
						     PAGE_BYTES),
					 0);
}

static void fill(struct world *w)
{
	struct content random = {5};
	char page[PAGE_BYTES] = {0};

	for (unsigned i = 0; i < PAGES; i++) {
		content_make(&random, CONTENT_RANDOM, page, OBJECT_BYTES);
		store_rig_write(&w->rig, 0, (uint64_t)i << PAGE_SHIFT, page,
				sizeof(page));
		if (i < READ_PAGES)
			memcpy(w->model + i * sizeof(page), page, sizeof(page));
	}
	content_make(&random, CONTENT_MIXED, w->fresh, sizeof(w->fresh));
	make_thin(w);
}

static int up_kind(void **state, int kind)
{
	struct store_rig_options options = {.pool_kind = kind, .spill = true};
	struct world *w = &world;

	memset(w, 0, sizeof(*w));
	store_rig_up(&w->rig, &options);
	w->file = store_rig_file(&w->rig, 0);
	w->stream = stream_get(w->rig.streams, 1);
	assert_non_null(w->stream);
	fill(w);
	*state = w;
	return 0;
}

static int up(void **state)
{
	return up_kind(state, RIG_SPAN);
}

static int up_copy(void **state)
{
	return up_kind(state, POOL_FAKE_COPY);
}

static int down(void **state)
{
	struct world *w = *state;

	atomic_store(&pins_hook, NULL);
	stream_put(w->rig.streams, w->stream);
	store_rig_check(&w->rig);
	store_rig_down(&w->rig);
	return 0;
}

static void compact(struct world *w)
{
	if (!store_compact_begin(w->rig.store))
		return;
	store_compact_body(w->rig.store, w->stream, w->file);
	store_compact_end(w->rig.store);
}

static void happen(struct world *w)
{
	struct store *store = w->rig.store;
	struct spill_result result;
	size_t n;

	switch (w->event) {
	case EVENT_OVERWRITE:
		(void)!store_write(store, w->stream, w->file, PAGE_BYTES,
				   w->fresh, PAGE_BYTES, &n);
		break;
	case EVENT_PATCH:
		(void)!store_write(store, w->stream, w->file, 100, w->fresh, 50,
				   &n);
		break;
	case EVENT_ZERO:
		(void)!store_zero(store, w->stream, w->file, 0, 2 * PAGE_BYTES,
				  true);
		break;
	case EVENT_PUNCH:
		(void)!store_punch(store, w->stream, w->file, PAGE_BYTES,
				   PAGE_BYTES);
		break;
	case EVENT_CUT:
		(void)!store_truncate(store, w->stream, w->file, PAGE_BYTES);
		break;
	case EVENT_DISCARD:
		store_discard(store, w->stream->row, w->file);
		break;
	case EVENT_COMPACT:
		compact(w);
		break;
	case EVENT_SPILL:
		store_rig_spill(&w->rig, &store_rig_all, &result);
		break;
	default:
		(void)!store_write(store, w->stream, w->file,
				   (uint64_t)GROUP_PAGES << PAGE_SHIFT,
				   w->fresh, PAGE_BYTES, &n);
	}
}

static void *other(void *arg)
{
	struct world *w = arg;

	happen(w);
	atomic_store(&w->done, true);
	return NULL;
}

/* Until the other one waits for us, or did not. */
static void hook(void)
{
	struct world *w = &world;
	const struct pin *pin = &w->rig.store->pin[w->rig.stream->slot];

	if (w->calls++)
		return;
	assert_int_equal(pthread_create(&w->other, NULL, other, w), 0);
	while (!atomic_load(&w->done) && !w->waited) {
		w->waited = atomic_load(&pin->waiting) != 0;
		sched_yield();
	}
}

static void one_event(struct world *w, enum event event)
{
	w->event = event;
	atomic_store(&w->done, false);
	w->calls = 0;
	w->waited = false;
	atomic_store(&pins_hook, hook);
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, READ_BYTES), 0);
	atomic_store(&pins_hook, NULL);
	assert_int_equal(w->calls, 1);
	pthread_join(w->other, NULL);
	assert_memory_equal(w->buf, w->model, READ_BYTES);
}

static void test_who_frees_waits(void **state)
{
	struct world *w = *state;

	for (enum event event = 0; event < EVENT_NR; event++) {
		one_event(w, event);
		assert_true(w->waited);
		store_rig_check(&w->rig);
		store_discard(w->rig.store, w->rig.stream->row, w->file);
		fill(w);
	}
}

/* If it waited, nobody would ever be done. */
static void test_others_do_not_wait(void **state)
{
	struct world *w = *state;

	one_event(w, EVENT_ELSEWHERE);
	assert_false(w->waited);
}

static void count_call(void)
{
	world.calls++;
}

static void test_a_page_is_copied(void **state)
{
	struct world *w = *state;

	atomic_store(&pins_hook, count_call);
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, PAGE_BYTES), 0);
	assert_memory_equal(w->buf, w->model, PAGE_BYTES);
	assert_int_equal(w->calls, 0);
}

/* A pool whose views do not stay: all are copied. */
static void test_not_every_pool(void **state)
{
	struct world *w = *state;

	atomic_store(&pins_hook, count_call);
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, READ_BYTES), 0);
	assert_memory_equal(w->buf, w->model, READ_BYTES);
	assert_int_equal(w->calls, 0);
}

/* An object that does not decode is EIO, and nobody waits for it for ever. */
static void test_broken_object(void **state)
{
	struct world *w = *state;
	struct handle h = entry_handle(store_rig_word(&w->rig, 0, 1));
	char scratch[POOL_OBJECT_MAX], *bytes;
	struct pool_view view;

	assert_int_equal(pool_read_begin(w->rig.pool, h, scratch, &view), 0);
	bytes = (char *)(uintptr_t)view.piece[0];
	memset(bytes, 0xff, view.bytes[0]);
	pool_read_end(w->rig.pool, h, &view);
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, READ_BYTES),
			 -EIO);
	store_rig_write(&w->rig, 0, PAGE_BYTES, w->model + PAGE_BYTES,
			PAGE_BYTES);
	assert_int_equal(store_rig_read(&w->rig, 0, 0, w->buf, READ_BYTES), 0);
	assert_memory_equal(w->buf, w->model, READ_BYTES);
}

/* --- all at once: each page says which version of which page it is --- */

struct storm {
	struct world *w;
	unsigned slot;
	uint64_t wrong;
};

static _Atomic bool storm_ends;

static void make_page(uint64_t page, uint64_t version, uint64_t *words)
{
	struct content random = {page * STORM_ROUNDS + version + 1};

	for (unsigned i = 0; i < PAGE_BYTES / 8; i++)
		words[i] = i % 8 < 3 ? content_random(&random) : page;
	words[0] = page;
	words[1] = version;
}

static bool page_is_whole(uint64_t page, const uint64_t *words)
{
	uint64_t expected[PAGE_BYTES / 8] = {0};

	if (words[0] || words[1])
		make_page(page, words[1], expected);
	return memcmp(words, expected, sizeof(expected)) == 0;
}

static void *storm_reads(void *arg)
{
	struct storm *s = arg;
	struct stream *stream = stream_get(s->w->rig.streams, s->slot);
	uint64_t *buf = malloc((size_t)STORM_PAGES << PAGE_SHIFT);
	size_t n = 0;

	while (!atomic_load(&storm_ends)) {
		s->wrong +=
			store_read(s->w->rig.store, stream, s->w->file, 0, buf,
				   (size_t)STORM_PAGES << PAGE_SHIFT, &n) != 0;
		for (unsigned i = 0; i < n >> PAGE_SHIFT; i++)
			s->wrong += !page_is_whole(i, buf + i * 512u);
	}
	free(buf);
	stream_put(s->w->rig.streams, stream);
	return NULL;
}

/* Batches of any length anywhere, and holes. */
static void storm_writes(struct world *w)
{
	struct store_rig *rig = &w->rig;
	struct content random = {77};
	uint64_t *buf = malloc((size_t)STREAM_BATCH << PAGE_SHIFT);

	for (unsigned version = 1; version <= STORM_ROUNDS; version++) {
		uint64_t first = content_below(&random, STORM_PAGES);
		uint64_t n = 1 + content_below(&random, STREAM_BATCH);

		if (n > STORM_PAGES - first)
			n = STORM_PAGES - first;
		for (unsigned i = 0; i < n; i++)
			make_page(first + i, version, buf + i * 512u);
		if (version % 4)
			store_rig_write(rig, 0, first << PAGE_SHIFT, buf,
					n << PAGE_SHIFT);
		else
			assert_int_equal(store_punch(rig->store, rig->stream,
						     w->file,
						     first << PAGE_SHIFT,
						     n << PAGE_SHIFT),
					 0);
		if (version % 16 == 0)
			compact(w);
	}
	free(buf);
}

static void test_storm(void **state)
{
	struct world *w = *state;
	struct storm storm[2] = {{w, 2, 0}, {w, 3, 0}};
	pthread_t thread[2];

	store_discard(w->rig.store, w->rig.stream->row, w->file);
	store_rig_write(&w->rig, 0, ((uint64_t)STORM_PAGES << PAGE_SHIFT) - 1,
			"", 1);
	atomic_store(&storm_ends, false);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, storm_reads,
						&storm[i]),
				 0);
	storm_writes(w);
	atomic_store(&storm_ends, true);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(storm[i].wrong, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_frees_waits, up, down),
		cmocka_unit_test_setup_teardown(test_others_do_not_wait, up,
						down),
		cmocka_unit_test_setup_teardown(test_a_page_is_copied, up,
						down),
		cmocka_unit_test_setup_teardown(test_not_every_pool, up_copy,
						down),
		cmocka_unit_test_setup_teardown(test_broken_object, up, down),
		cmocka_unit_test_setup_teardown(test_storm, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
