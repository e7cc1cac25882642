/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A text that grows by appending, as long as it has to be.
 *
 * Running out of memory is remembered and told once, at the end, so callers
 * need not check every step.
 */
#ifndef SRC_CTL_TEXT_H
#define SRC_CTL_TEXT_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>

struct text {
	char *at; /* NUL-terminated; NULL: nothing yet */
	size_t n, cap;
	bool no_memory;
};

static inline void text_init(struct text *t)
{
	*t = (struct text){0};
}

void text_fini(struct text *t);
void text_put(struct text *t, const char *s, size_t n);
void text_put_string(struct text *t, const char *s);

/* The text, heap_alloc()ed and never NULL, leaving @t empty. -ENOMEM. */
int text_take(struct text *t, char **ret_text, size_t *ret_n) MUST_CHECK;

#endif
