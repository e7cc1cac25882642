/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of the codecs: round trips at every level, damaged input, parsing,
 * and that compressing and decoding never allocate.
 */
#include "codec/codec.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if !SANITIZED
/*
 * Our own malloc family over glibc's, counted: neither the codecs' libraries
 * nor anything below them can allocate past it.
 */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *old, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

static unsigned long allocations;

void *malloc(size_t n)
{
	allocations++;
	return __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
	allocations++;
	return __libc_calloc(count, n);
}

void *realloc(void *old, size_t n)
{
	allocations++;
	return __libc_realloc(old, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	allocations++;
	return __libc_memalign(align, n);
}

int posix_memalign(void **ret, size_t align, size_t n)
{
	allocations++;
	*ret = __libc_memalign(align, n);
	return *ret ? 0 : ENOMEM;
}

void free(void *p)
{
	__libc_free(p);
}
#else
static const unsigned long allocations;
#endif

#define OUT_BYTES (PAGE_BYTES + 512)
#define GUARD 0x6b

static uint64_t seed = 1;

static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Words from a small set, so that every codec finds something. */
static void make_text(unsigned char *page, size_t n)
{
	static const char *const words[] = {"page ", "entry ",  "object ",
					    "span ", "worker ", "stream\n"};
	size_t done = 0;

	while (done < n) {
		const char *word = words[random64() % 6];
		size_t len = strlen(word);

		len = len < n - done ? len : n - done;
		memcpy(page + done, word, len);
		done += len;
	}
}

static void make_noise(unsigned char *page, size_t n)
{
	for (size_t i = 0; i < n; i++)
		page[i] = (unsigned char)random64();
}

struct memory {
	const struct codec_ops *ops;
	int level;
	void *ctx;
	void *dec;
};

static void *aligned(size_t n)
{
	void *mem = NULL;

	if (n > 0)
		assert_int_equal(posix_memalign(&mem, CODEC_ALIGN, n), 0);
	return mem;
}

static struct memory memory_new(enum codec_id id, int level)
{
	struct memory m = {.ops = codec_ops(id), .level = level};

	m.ctx = aligned(m.ops->ctx_bytes(level));
	assert_int_equal(m.ops->ctx_init(m.ctx, level), 0);
	m.dec = aligned(m.ops->dec_bytes());
	assert_int_equal(m.ops->dec_init(m.dec), 0);
	return m;
}

static void memory_free(struct memory *m)
{
	free(m->ctx);
	free(m->dec);
}

/* Compress and decode @n bytes with guards behind both outputs. */
static size_t round_trip(struct memory *m, const unsigned char *src, size_t n,
			 size_t cap)
{
	unsigned char out[OUT_BYTES + 1], back[PAGE_BYTES + 1];
	size_t packed;

	assert_true(cap <= OUT_BYTES);
	out[cap] = GUARD;
	packed = m->ops->compress(m->ctx, m->level, src, n, out, cap);
	assert_int_equal(out[cap], GUARD);
	assert_true(packed <= cap);
	if (packed == 0)
		return 0;
	back[n] = GUARD;
	assert_int_equal(m->ops->decompress(m->dec, out, packed, back, n), 0);
	assert_int_equal(back[n], GUARD);
	assert_memory_equal(src, back, n);
	return packed;
}

static const enum codec_id packers[] = {CODEC_LZ4, CODEC_LZ4HC, CODEC_ZSTD};

static void test_codec_round_trip_every_level(void **state)
{
	unsigned char page[PAGE_BYTES];

	(void)state;
	for (unsigned c = 0; c < ARRAY_SIZE(packers); c++) {
		const struct codec_ops *ops = codec_ops(packers[c]);

		for (int l = ops->level_min; l <= ops->level_max; l++) {
			struct memory m = memory_new(packers[c], l);

			for (unsigned i = 0; i < 4; i++) {
				make_text(page, PAGE_BYTES);
				assert_in_range(round_trip(&m, page, PAGE_BYTES,
							   OUT_BYTES),
						1, PAGE_BYTES - 1);
				make_noise(page, PAGE_BYTES);
				round_trip(&m, page, PAGE_BYTES, OUT_BYTES);
			}
			memory_free(&m);
		}
	}
}

static void test_codec_round_trip_every_length(void **state)
{
	unsigned char page[PAGE_BYTES];

	(void)state;
	for (unsigned c = 0; c < ARRAY_SIZE(packers); c++) {
		struct memory m = memory_new(
			packers[c], codec_ops(packers[c])->level_default);

		for (size_t n = 1; n <= PAGE_BYTES; n += n < 300 ? 1 : 97) {
			make_text(page, n);
			assert_true(round_trip(&m, page, n, OUT_BYTES) > 0);
		}
		memory_free(&m);
	}
}

/* Too little room at any size gives 0 or a page that decodes, no overrun. */
static void test_codec_respects_cap(void **state)
{
	unsigned char page[PAGE_BYTES];

	(void)state;
	for (unsigned c = 0; c < ARRAY_SIZE(packers); c++) {
		struct memory m = memory_new(
			packers[c], codec_ops(packers[c])->level_default);
		size_t best;

		make_text(page, PAGE_BYTES);
		best = round_trip(&m, page, PAGE_BYTES, OUT_BYTES);
		for (size_t cap = 1; cap < best; cap += 13)
			assert_int_equal(round_trip(&m, page, PAGE_BYTES, cap),
					 0);
		assert_int_equal(round_trip(&m, page, PAGE_BYTES, OUT_BYTES),
				 best);
		make_noise(page, PAGE_BYTES);
		assert_int_equal(round_trip(&m, page, PAGE_BYTES,
					    PAGE_BYTES - PAGE_BYTES / 16),
				 0);
		memory_free(&m);
	}
}

/*
 * Damage of any kind: -EIO, or (a hit that the format cannot see) exactly
 * n_dst bytes. Run under ASan this is the bounds test.
 */
static void damage_once(struct memory *m, const unsigned char *good,
			size_t packed)
{
	unsigned char *bad = malloc(packed), *back = malloc(PAGE_BYTES);
	size_t n = packed;
	int r;

	memcpy(bad, good, packed);
	switch (random64() % 4) {
	case 0:
		n = random64() % packed;
		break;
	case 1:
		make_noise(bad, packed);
		break;
	default:
		for (unsigned i = 0; i <= random64() % 8; i++)
			bad[random64() % packed] = (unsigned char)random64();
	}
	/* In a block of its own, so that reading past it is seen. */
	if (n < packed && n > 0) {
		unsigned char *cut = malloc(n);

		memcpy(cut, bad, n);
		free(bad);
		bad = cut;
	}
	r = m->ops->decompress(m->dec, bad, n, back, PAGE_BYTES);
	assert_true(r == 0 || r == -EIO);
	if (n < packed)
		assert_int_equal(r, -EIO);
	free(back);
	free(bad);
}

static void test_codec_damaged_input_is_eio_or_bounded(void **state)
{
	unsigned char page[PAGE_BYTES], out[OUT_BYTES];

	(void)state;
	for (unsigned c = 0; c < ARRAY_SIZE(packers); c++) {
		struct memory m = memory_new(
			packers[c], codec_ops(packers[c])->level_default);

		for (unsigned i = 0; i < 4000; i++) {
			size_t packed;

			make_text(page, PAGE_BYTES);
			packed = m.ops->compress(m.ctx, m.level, page,
						 PAGE_BYTES, out, OUT_BYTES);
			damage_once(&m, out, packed);
		}
		/* And it still decodes what is whole. */
		make_text(page, PAGE_BYTES);
		assert_true(round_trip(&m, page, PAGE_BYTES, OUT_BYTES) > 0);
		memory_free(&m);
	}
}

/* The length wanted is part of what must be right. */
static void test_codec_wrong_length_is_eio(void **state)
{
	unsigned char page[PAGE_BYTES], out[OUT_BYTES], back[PAGE_BYTES + 8];

	(void)state;
	for (unsigned c = 0; c < ARRAY_SIZE(packers); c++) {
		struct memory m = memory_new(
			packers[c], codec_ops(packers[c])->level_default);
		size_t packed;

		make_text(page, 4000);
		packed = m.ops->compress(m.ctx, m.level, page, 4000, out,
					 OUT_BYTES);
		assert_true(packed > 0);
		assert_int_equal(
			m.ops->decompress(m.dec, out, packed, back, 4001),
			-EIO);
		assert_int_equal(
			m.ops->decompress(m.dec, out, packed, back, 3999),
			-EIO);
		memory_free(&m);
	}
}

static void test_codec_raw_copies_and_checks(void **state)
{
	const struct codec_ops *raw = codec_ops(CODEC_RAW);
	char back[4];

	(void)state;
	assert_int_equal(raw->compress(NULL, 0, "aaaaaaaa", 8, back, 4), 0);
	assert_int_equal(raw->decompress(NULL, "abcd", 4, back, 4), 0);
	assert_memory_equal(back, "abcd", 4);
	assert_int_equal(raw->decompress(NULL, "abc", 3, back, 4), -EIO);
}

/* The store path must not allocate: once prepared, not one call of the allocator. */
static void test_codec_never_allocates(void **state)
{
	unsigned char page[PAGE_BYTES], out[OUT_BYTES];

	(void)state;
	for (unsigned c = 0; c < ARRAY_SIZE(packers); c++) {
		const struct codec_ops *ops = codec_ops(packers[c]);

		for (int l = ops->level_min; l <= ops->level_max; l++) {
			struct memory m = memory_new(packers[c], l);
			unsigned long before = allocations;

			for (unsigned i = 0; i < 8; i++) {
				size_t n = 1 + random64() % PAGE_BYTES, packed;

				make_text(page, n);
				packed = ops->compress(m.ctx, l, page, n, out,
						       OUT_BYTES);
				ops->decompress(m.dec, out, packed, page, n);
				ops->decompress(m.dec, out, packed / 2, page,
						n);
				make_noise(page, n);
				ops->compress(m.ctx, l, page, n, out, n / 2);
			}
			if (allocations != before)
				print_error("%s:%d\n", ops->name, l);
			assert_true(allocations == before);
			memory_free(&m);
		}
	}
}

/* 2 bytes of frame header and 3 of block header around what will not pack. */
static void test_codec_zstd_frames_are_small(void **state)
{
	struct memory m = memory_new(CODEC_ZSTD, 3);
	unsigned char page[1000];

	(void)state;
	make_noise(page, sizeof(page));
	assert_int_equal(round_trip(&m, page, sizeof(page), OUT_BYTES),
			 sizeof(page) + 5);
	memory_free(&m);
}

static void test_codec_parse(void **state)
{
	static const struct {
		const char *text;
		int r;
		struct codec_params params;
	} cases[] = {
		{"lz4", 0, {CODEC_LZ4, 1}},
		{"lz4:4", 0, {CODEC_LZ4, 4}},
		{"lz4:64", 0, {CODEC_LZ4, 64}},
		{"lz4hc", 0, {CODEC_LZ4HC, 9}},
		{"lz4hc:2", 0, {CODEC_LZ4HC, 2}},
		{"zstd", 0, {CODEC_ZSTD, 3}},
		{"zstd:0", 0, {CODEC_ZSTD, 3}},
		{"zstd:-7", 0, {CODEC_ZSTD, -7}},
		{"zstd:19", 0, {CODEC_ZSTD, 19}},
		{"none", 0, {CODEC_RAW, 0}},
		{"none:1", -EINVAL, {0}},
		{"", -ENOENT, {0}},
		{"lz", -ENOENT, {0}},
		{"lz4x", -ENOENT, {0}},
		{"LZ4", -ENOENT, {0}},
		{"lzo:1", -ENOENT, {0}},
		{"lz4:", -EINVAL, {0}},
		{"lz4:1x", -EINVAL, {0}},
		{"lz4: 1", -EINVAL, {0}},
		{"lz4:+1", -EINVAL, {0}},
		{"zstd:-", -EINVAL, {0}},
		{"zstd:--1", -EINVAL, {0}},
		{"lz4:0", -ERANGE, {CODEC_LZ4, 0}},
		{"lz4hc:10", -ERANGE, {CODEC_LZ4HC, 0}},
		{"lz4:65", -ERANGE, {CODEC_LZ4, 0}},
		{"lz4:-1", -ERANGE, {CODEC_LZ4, 0}},
		{"zstd:20", -ERANGE, {CODEC_ZSTD, 0}},
		{"zstd:-8", -ERANGE, {CODEC_ZSTD, 0}},
		{"zstd:99999999999999999999", -ERANGE, {CODEC_ZSTD, 0}},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct codec_params params = {CODEC_RAW, 0};

		assert_int_equal(codec_parse(cases[i].text, &params),
				 cases[i].r);
		assert_int_equal(params.id, cases[i].params.id);
		assert_int_equal(params.level, cases[i].params.level);
	}
}

static void test_codec_format_is_parsed_back(void **state)
{
	(void)state;
	for (unsigned c = 0; c < CODEC_NR; c++) {
		const struct codec_ops *ops = codec_ops((enum codec_id)c);

		for (int l = ops->level_min; l <= ops->level_max; l++) {
			struct codec_params in = {(enum codec_id)c, l}, out;
			char text[CODEC_TEXT_MAX];

			assert_true(codec_params_valid(&in));
			/* Parsed as the default, never as itself. */
			if (l == 0 && ops->level_min < 0)
				continue;
			assert_int_equal(
				codec_parse(codec_format(&in, text), &out), 0);
			assert_true(codec_params_equal(&in, &out));
		}
		assert_false(codec_params_valid(&(struct codec_params){
			(enum codec_id)c, ops->level_max + 1}));
	}
	assert_null(codec_ops(CODEC_NR));
	assert_null(codec_ops((enum codec_id)255));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codec_round_trip_every_level),
		cmocka_unit_test(test_codec_round_trip_every_length),
		cmocka_unit_test(test_codec_respects_cap),
		cmocka_unit_test(test_codec_damaged_input_is_eio_or_bounded),
		cmocka_unit_test(test_codec_wrong_length_is_eio),
		cmocka_unit_test(test_codec_raw_copies_and_checks),
		cmocka_unit_test(test_codec_never_allocates),
		cmocka_unit_test(test_codec_zstd_frames_are_small),
		cmocka_unit_test(test_codec_parse),
		cmocka_unit_test(test_codec_format_is_parsed_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
