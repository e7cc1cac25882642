/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The known word that is nearest to a misspelt one: "did you mean". */
#ifndef SRC_BASE_NEAR_H
#define SRC_BASE_NEAR_H

/* Keeps the best guess at what a misspelt word should have been. */
struct near {
	const char *word;
	const char *best; /* NULL: nothing is near enough */
	unsigned distance;
};
void near_init(struct near *n, const char *word);
void near_try(struct near *n, const char *candidate);

#endif
