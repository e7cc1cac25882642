/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A text that grows by doubling its buffer. */
#include "ctl/text.h"
#include "base/heap.h"
#include <errno.h>
#include <string.h>

#define TEXT_FIRST_BYTES 4096u

void text_fini(struct text *t)
{
	heap_free(t->at);
	text_init(t);
}

/* Room for @n more bytes and a NUL; false when there is no memory. */
static bool grow(struct text *t, size_t n)
{
	size_t cap = t->cap ? t->cap : TEXT_FIRST_BYTES;
	char *at;

	if (t->no_memory)
		return false;
	while (cap < t->n + n + 1)
		cap *= 2;
	if (cap == t->cap)
		return true;
	at = heap_resize(t->at, cap);
	if (!at) {
		t->no_memory = true;
		return false;
	}
	t->at = at;
	t->cap = cap;
	return true;
}

void text_put(struct text *t, const char *s, size_t n)
{
	if (!grow(t, n))
		return;
	memcpy(t->at + t->n, s, n);
	t->n += n;
	t->at[t->n] = '\0';
}

void text_put_string(struct text *t, const char *s)
{
	text_put(t, s, strlen(s));
}

int text_take(struct text *t, char **ret_text, size_t *ret_n)
{
	text_put(t, "", 0);
	if (t->no_memory) {
		text_fini(t);
		return -ENOMEM;
	}
	*ret_text = t->at;
	*ret_n = t->n;
	text_init(t);
	return 0;
}
