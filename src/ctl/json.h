/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing JSON: one object or list after the other into a growing text.
 *
 * Running out of memory is remembered and told once, at the end, so callers
 * need not check every step. Numbers are unsigned integers, whole and exact.
 */
#ifndef SRC_CTL_JSON_H
#define SRC_CTL_JSON_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *text;
	size_t n, cap;
	bool comma; /* something stands before in this object or list */
	bool no_memory;
};

void json_init(struct json *j);
void json_fini(struct json *j);

/* @key is NULL inside a list and for the outermost value. */
void json_object_begin(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_list_begin(struct json *j, const char *key);
void json_list_end(struct json *j);
void json_number(struct json *j, const char *key, uint64_t value);
/* Control characters and what is not ASCII come out escaped, a byte each:
 * the result is valid JSON whatever the bytes are. NULL is null. */
void json_string(struct json *j, const char *key, const char *value);

/* The text, heap_alloc()ed and NUL-terminated, leaving @j empty. -ENOMEM. */
int json_take(struct json *j, char **ret_text, size_t *ret_n) MUST_CHECK;

#endif
