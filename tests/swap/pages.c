/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages that can be checked. */
#include "swap/pages.h"
#include <string.h>

/* splitmix64. */
uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t first_state(const struct plan *plan, uint64_t page,
			    uint32_t version)
{
	uint64_t state = plan->seed ^ page << 20;

	return next_random(&state) ^ version;
}

enum kind {
	KIND_ZEROES,
	KIND_FILL,
	KIND_NOISE,
	KIND_TEXT,
};

static enum kind kind_of(const struct plan *plan, uint64_t word)
{
	unsigned n = word >> 60;

	if (plan->mix == MIX_NOISE)
		return KIND_NOISE;
	return n == 0   ? KIND_ZEROES
	       : n == 1 ? KIND_FILL
	       : n < 5  ? KIND_NOISE
			: KIND_TEXT;
}

void page_make(const struct plan *plan, uint64_t page, uint32_t version,
	       uint64_t *words)
{
	uint64_t state = first_state(plan, page, version);
	uint64_t first = next_random(&state);
	enum kind kind = kind_of(plan, first);

	if (kind == KIND_ZEROES || version == 0)
		first = 0;
	for (unsigned i = 0; i < PAGE_WORDS; i++) {
		bool noise =
			kind == KIND_NOISE || (kind == KIND_TEXT && i % 5 < 2);

		words[i] = noise && i && version ? next_random(&state) : first;
	}
}

unsigned page_check(const struct plan *plan, uint64_t page, uint32_t version,
		    const uint64_t *words)
{
	uint64_t want[PAGE_WORDS];
	unsigned at = 0;

	page_make(plan, page, version, want);
	if (memcmp(want, words, PAGE_BYTES) == 0)
		return PAGE_WORDS;
	/* What is another thread's stray write may be gone again. */
	while (at < PAGE_WORDS - 1 && want[at] == words[at])
		at++;
	return at;
}

bool page_glance(const struct plan *plan, uint64_t page, uint32_t version,
		 const uint64_t *words)
{
	uint64_t state = first_state(plan, page, version);
	uint64_t first = next_random(&state);

	if (kind_of(plan, first) == KIND_ZEROES || version == 0)
		first = 0;
	return *(const volatile uint64_t *)words == first;
}
