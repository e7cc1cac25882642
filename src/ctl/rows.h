/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values that are tables: a line for each row, each of `name=value` fields
 * with one blank between them; the same rows as a list of objects in JSON.
 *
 *	slot=0 state=running requests=3456
 *	slot=1 state=offline requests=12
 *
 * No value has a blank in it or is empty. What is written like a number is a
 * number in JSON, all else a string.
 */
#ifndef SRC_CTL_ROWS_H
#define SRC_CTL_ROWS_H

#include "ctl/json.h"
#include "ctl/text.h"
#include <stdint.h>

struct rows {
	struct text text;
	bool in_row;
};

void rows_init(struct rows *rows);
void rows_fini(struct rows *rows);

/* The next row begins; its fields follow. Every row ends with a newline. */
void rows_next(struct rows *rows);
void rows_number(struct rows *rows, const char *name, uint64_t value);
/* Tenths: 34 is "3.4". */
void rows_tenths(struct rows *rows, const char *name, uint64_t tenths);
/* Blanks and control bytes become '_'; nothing at all "-". */
void rows_word(struct rows *rows, const char *name, const char *value);

/* All rows, heap_alloc()ed, leaving @rows empty; "" without any. -ENOMEM. */
int rows_take(struct rows *rows, char **ret_text) MUST_CHECK;

/* The rows of @text (NULL: none) as a list of objects. */
void rows_json(struct json *j, const char *key, const char *text);

#endif
