/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes for tests that compress differently, from a seeded generator.
 *
 * Needs nothing but a seed; the same seed gives the same bytes anywhere.
 */
#ifndef TESTS_LIB_CONTENT_H
#define TESTS_LIB_CONTENT_H

#include <stddef.h>
#include <stdint.h>

struct content {
	uint64_t state;
};

/* Any number. */
uint64_t content_random(struct content *c);
/* Below @n, which is not 0. */
uint64_t content_below(struct content *c, uint64_t n);

enum content_kind {
	CONTENT_ZERO,
	CONTENT_FILL_SMALL,  /* a word below 2^39 */
	CONTENT_FILL_HALVES, /* one of two equal halves */
	CONTENT_FILL_LARGE,  /* any other */
	CONTENT_TEXT,        /* compresses well */
	CONTENT_MIXED,       /* compresses by a third or so */
	CONTENT_RANDOM,      /* does not compress */
	CONTENT_NR
};

/* @n bytes of @kind at @dst; fill words start at @dst. */
void content_make(struct content *c, enum content_kind kind, void *dst,
		  size_t n);
/* A new kind every page or so, as writes to files are. */
void content_make_any(struct content *c, void *dst, size_t n);

#endif
