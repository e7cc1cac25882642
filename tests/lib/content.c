/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seeded bytes of several kinds. */
#include "content.h"
#include <string.h>

/* splitmix64: any seed will do. */
uint64_t content_random(struct content *c)
{
	uint64_t x = c->state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t content_below(struct content *c, uint64_t n)
{
	return content_random(c) % n;
}

static uint64_t fill_word(struct content *c, enum content_kind kind)
{
	uint64_t word = content_random(c);

	if (kind == CONTENT_ZERO)
		return 0;
	if (kind == CONTENT_FILL_SMALL)
		return word >> 25;
	if (kind == CONTENT_FILL_HALVES)
		return (word & UINT32_MAX) * UINT64_C(0x100000001);
	return word | UINT64_C(1) << 63;
}

static void make_fill(uint64_t word, char *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = ((const char *)&word)[i % sizeof(word)];
}

static void make_text(struct content *c, char *dst, size_t n)
{
	static const char words[] = "the page that holds a byte of it is kept ";

	for (size_t i = 0; i < n;) {
		size_t at = content_below(c, sizeof(words) - 8), k;

		for (k = 0; k < 8 && i < n; k++)
			dst[i++] = words[at + k];
		if (content_below(c, 8) == 0 && i < n)
			dst[i++] = (char)content_random(c);
	}
}

static void make_random(struct content *c, char *dst, size_t n)
{
	while (n) {
		uint64_t word = content_random(c);
		size_t step = n < sizeof(word) ? n : sizeof(word);

		memcpy(dst, &word, step);
		dst += step;
		n -= step;
	}
}

void content_make(struct content *c, enum content_kind kind, void *dst,
		  size_t n)
{
	char *p = dst;

	switch (kind) {
	case CONTENT_TEXT:
		make_text(c, p, n);
		break;
	case CONTENT_MIXED:
		make_random(c, p, n * 2 / 3);
		memset(p + n * 2 / 3, 7, n - n * 2 / 3);
		break;
	case CONTENT_RANDOM:
		make_random(c, p, n);
		break;
	default:
		make_fill(fill_word(c, kind), p, n);
	}
}

void content_make_any(struct content *c, void *dst, size_t n)
{
	char *p = dst;

	while (n) {
		size_t step = n < 4096 ? n : 4096;

		content_make(c, (enum content_kind)content_below(c, CONTENT_NR),
			     p, step);
		p += step;
		n -= step;
	}
}
