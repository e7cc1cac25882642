/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds the known word that is nearest to a misspelt one.
 *
 * The distance counts letters put in, left out, changed and swapped with
 * their neighbour; capitals count as small letters. Pure.
 */
#include "base/near.h"
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* No name of ours is longer; longer words are near to none. */
#define WORD_MAX 32

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static unsigned distance_of(const char *a, size_t na, const char *b, size_t nb)
{
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];

	for (unsigned i = 0; i <= na; i++)
		d[i][0] = i;
	for (unsigned j = 0; j <= nb; j++)
		d[0][j] = j;
	for (unsigned i = 1; i <= na; i++)
		for (unsigned j = 1; j <= nb; j++) {
			unsigned change = same(a[i - 1], b[j - 1]) ? 0 : 1;

			d[i][j] = least(d[i - 1][j] + 1, d[i][j - 1] + 1,
					d[i - 1][j - 1] + change);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]))
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1,
						d[i][j]);
		}
	return d[na][nb];
}

void near_init(struct near *n, const char *word)
{
	size_t len = strlen(word);

	/* A third of the letters may be wrong, two at most: else the guess
	 * would say more about the table than about what was meant. */
	*n = (struct near){.word = word,
			   .distance = (len < 3   ? 1
					: len < 6 ? 2
						  : 3)};
}

void near_try(struct near *n, const char *candidate)
{
	size_t na = strlen(n->word), nb = strlen(candidate);
	unsigned d;

	if (na == 0 || na > WORD_MAX || nb > WORD_MAX)
		return;
	d = distance_of(n->word, na, candidate, nb);
	if (d < n->distance) {
		n->distance = d;
		n->best = candidate;
	}
}
