/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Contents of a page that can be told from those of any other, and of the same
 * page at another time.
 *
 * A page is made of the seed, its number and its version, so that nothing has
 * to be kept to check it but the version. Version 0 is never made: zeroes.
 */
#ifndef TESTS_SWAP_PAGES_H
#define TESTS_SWAP_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_BYTES 4096u
#define PAGE_WORDS (PAGE_BYTES / sizeof(uint64_t))

enum mix {
	/* Of 16 pages one is zeroes, one another word repeated, three are
	 * noise, and the rest can be squeezed to less than a half. */
	MIX_USUAL,
	MIX_NOISE,
};

struct plan {
	uint64_t seed;
	enum mix mix;
};

void page_make(const struct plan *plan, uint64_t page, uint32_t version,
	       uint64_t *words);
/* The first word it was not, PAGE_WORDS if all are right. */
unsigned page_check(const struct plan *plan, uint64_t page, uint32_t version,
		    const uint64_t *words);
/* By its first word alone: brings the page in, and is done. */
bool page_glance(const struct plan *plan, uint64_t page, uint32_t version,
		 const uint64_t *words);

/* A random number: good enough to choose by, and fast. */
uint64_t next_random(uint64_t *state);

#endif
