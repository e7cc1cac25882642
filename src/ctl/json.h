/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing JSON: one object or list after the other into a growing text.
 *
 * Running out of memory is remembered and told once, at the end, so callers
 * need not check every step. Numbers are exact.
 */
#ifndef SRC_CTL_JSON_H
#define SRC_CTL_JSON_H

#include "ctl/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	struct text text;
	bool comma; /* something stands before in this object or list */
};

void json_init(struct json *j);
void json_fini(struct json *j);

/* @key is NULL inside a list and for the outermost value. */
void json_object_begin(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_list_begin(struct json *j, const char *key);
void json_list_end(struct json *j);
void json_number(struct json *j, const char *key, uint64_t value);
/* A number that is there as text, "12" or "3.4". */
void json_digits(struct json *j, const char *key, const char *digits);
void json_bool(struct json *j, const char *key, bool value);
/* Control characters and what is not ASCII come out escaped, a byte each:
 * the result is valid JSON whatever the bytes are. NULL is null. */
void json_string(struct json *j, const char *key, const char *value);

/* The text, heap_alloc()ed and NUL-terminated, leaving @j empty. -ENOMEM. */
int json_take(struct json *j, char **ret_text, size_t *ret_n) MUST_CHECK;

#endif
