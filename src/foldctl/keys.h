/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys that this foldctl was built with, and how their values are read. */
#ifndef SRC_FOLDCTL_KEYS_H
#define SRC_FOLDCTL_KEYS_H

#include "base/compiler.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct key {
	const char *name; /* NULL behind the last */
	const char *kind; /* COUNTER, GAUGE, TEXT, ... */
	const char *unit; /* BYTES, PAGES, SECONDS, NONE, ... */
	bool settable;
	const char *sentence;
};
extern const struct key key_table[];

/* How many bytes at the front of @name are what attributes have before a key. */
size_t key_prefix(const char *name);
/* NULL: not known here; a newer daemon may know it. */
const struct key *key_find(const char *name);
/* What it can be set to; NULL: it cannot, or that is not known here. */
const char *key_values(const char *name);
/* The key that @name may have meant, or NULL. */
const char *key_near(const char *name);

#define KEY_VALUE_MAX 4096
/* A value for people ("1.5 GiB", "3 pages"), or with @exact as it is. Of a
 * table how many rows it has. Returns @text. */
const char *key_value(const char *name, const json_t *value, bool exact,
		      char text[KEY_VALUE_MAX]);

#endif
