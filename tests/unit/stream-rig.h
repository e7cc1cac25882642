/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the stream tests share: an arena with sets and streams, and a page. */
#ifndef TESTS_UNIT_STREAM_RIG_H
#define TESTS_UNIT_STREAM_RIG_H

#include "base/heap.h"
#include "codec/stream.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct codec_params lz4_1 UNUSED = {CODEC_LZ4, 1};
static const struct codec_params zstd_1 UNUSED = {CODEC_ZSTD, 1};
static const struct codec_params zstd_12 UNUSED = {CODEC_ZSTD, 12};
static const struct codec_params lz4hc_9 UNUSED = {CODEC_LZ4HC, 9};
static const struct codec_params none UNUSED = {CODEC_RAW, 0};

struct fixture {
	struct budget budget;
	struct arena *arena;
	struct sets *sets;
	struct streams *streams;
	char page[PAGE_BYTES];
};

static inline void change_codec(struct fixture *f,
				const struct codec_params *params)
{
	assert_int_equal(streams_prepare(f->streams, params), 0);
	assert_int_equal(sets_use(f->sets, params), 0);
}

static inline int setup(void **state)
{
	struct fixture *f = heap_zalloc(1, sizeof(*f));

	budget_init(&f->budget, 256 * MIB);
	assert_int_equal(arena_new(64 * MIB, &f->budget, &f->arena), 0);
	assert_int_equal(sets_new(f->arena, &f->sets), 0);
	assert_int_equal(streams_new(f->sets, &f->streams), 0);
	change_codec(f, &lz4_1);
	for (unsigned i = 0; i < PAGE_BYTES; i++)
		f->page[i] = (char)(i / 7 % 61);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	atomic_store(&stream_pick_hook, NULL);
	streams_free(f->streams);
	sets_free(f->sets);
	arena_free(f->arena);
	heap_free(f);
	return 0;
}

static inline struct stream_stats stats(struct fixture *f, unsigned slot)
{
	return stream_stats(f->streams, slot);
}

static inline void up(struct fixture *f, unsigned slot)
{
	assert_int_equal(stream_up(f->streams, slot), 0);
}

/* Pack the page with the stream's set, decode it, compare. */
static inline size_t pack(struct fixture *f, struct stream *stream,
			  unsigned set, char *out)
{
	size_t n = stream_compress(stream, set, f->page, PAGE_BYTES, out);

	if (n > 0) {
		assert_int_equal(stream_decompress(stream, set, out, n,
						   stream->page, PAGE_BYTES),
				 0);
		assert_memory_equal(stream->page, f->page, PAGE_BYTES);
	}
	return n;
}

static inline void assert_works(struct fixture *f, unsigned hint)
{
	struct stream *stream = stream_get(f->streams, hint);
	unsigned set;

	assert_non_null(stream);
	set = sets_enter(f->sets, stream->row);
	assert_true(pack(f, stream, set, stream->out[0]) > 0);
	sets_leave(f->sets, stream->row);
	stream_put(f->streams, stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
