/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The test for a fill page, and the way back. */
#include "codec/fill.h"
#include <string.h>

#define WORD sizeof(uint64_t)
/* A multiple of WORD. */
#define SEED_BYTES 256u

/*
 * Bytes repeat with period 8 exactly when each equals the one 8 further on,
 * so one memcmp() of the page with itself, shifted, is the whole test. The
 * last word is looked at first: many pages begin with zeroes and end in data.
 */
bool fill_test(const void *page, size_t n, uint64_t *ret_word)
{
	const char *p = page;
	uint64_t word = 0;

	memcpy(&word, p, n < WORD ? n : WORD);
	if (n > WORD) {
		uint64_t last;

		memcpy(&last, p + n - WORD, WORD);
		if (n % WORD == 0 && last != word)
			return false;
		if (memcmp(p, p + WORD, n - WORD) != 0)
			return false;
	}
	*ret_word = word;
	return true;
}

static void write_words(char *p, size_t n, uint64_t word)
{
	size_t done = 0;

	for (; done + WORD <= n; done += WORD)
		memcpy(p + done, &word, WORD);
	memcpy(p + done, &word, n - done);
}

/* From SEED_BYTES on what is there is doubled: copies of that length go by
 * vectors, which the baseline that a package is compiled for has not. */
void fill_write(void *page, size_t n, uint64_t word)
{
	char *p = page;
	size_t done = n < SEED_BYTES ? n : SEED_BYTES, step;

	if (word == 0) {
		memset(p, 0, n);
		return;
	}
	write_words(p, done, word);
	for (; done < n; done += step) {
		step = done < n - done ? done : n - done;
		memcpy(p + done, p, step);
	}
}
