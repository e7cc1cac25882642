/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON writer: a growing buffer, commas and escapes. */
#include "ctl/json.h"
#include "base/heap.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define JSON_FIRST_BYTES 4096u

void json_init(struct json *j)
{
	*j = (struct json){0};
}

void json_fini(struct json *j)
{
	heap_free(j->text);
	json_init(j);
}

/* Room for @n more bytes and a NUL; false when there is no memory. */
static bool grow(struct json *j, size_t n)
{
	size_t cap = j->cap ? j->cap : JSON_FIRST_BYTES;
	char *text;

	if (j->no_memory)
		return false;
	while (cap < j->n + n + 1)
		cap *= 2;
	if (cap == j->cap)
		return true;
	text = heap_resize(j->text, cap);
	if (!text) {
		j->no_memory = true;
		return false;
	}
	j->text = text;
	j->cap = cap;
	return true;
}

static void put(struct json *j, const char *s, size_t n)
{
	if (!grow(j, n))
		return;
	memcpy(j->text + j->n, s, n);
	j->n += n;
	j->text[j->n] = '\0';
}

static void put_char(struct json *j, unsigned char c)
{
	char code[8];

	if (c == '"' || c == '\\') {
		code[0] = '\\';
		code[1] = (char)c;
		put(j, code, 2);
	} else if (c < 0x20 || c >= 0x7f) {
		snprintf(code, sizeof(code), "\\u%04x", c);
		put(j, code, 6);
	} else {
		code[0] = (char)c;
		put(j, code, 1);
	}
}

static void put_quoted(struct json *j, const char *s)
{
	put(j, "\"", 1);
	for (; *s; s++)
		put_char(j, (unsigned char)*s);
	put(j, "\"", 1);
}

static void put_key(struct json *j, const char *key)
{
	if (j->comma)
		put(j, ",", 1);
	j->comma = true;
	if (!key)
		return;
	put_quoted(j, key);
	put(j, ":", 1);
}

static void begin(struct json *j, const char *key, const char *bracket)
{
	put_key(j, key);
	put(j, bracket, 1);
	j->comma = false;
}

static void end(struct json *j, const char *bracket)
{
	put(j, bracket, 1);
	j->comma = true;
}

void json_object_begin(struct json *j, const char *key)
{
	begin(j, key, "{");
}

void json_object_end(struct json *j)
{
	end(j, "}");
}

void json_list_begin(struct json *j, const char *key)
{
	begin(j, key, "[");
}

void json_list_end(struct json *j)
{
	end(j, "]");
}

void json_number(struct json *j, const char *key, uint64_t value)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, value);

	put_key(j, key);
	put(j, digits, (size_t)n);
}

void json_string(struct json *j, const char *key, const char *value)
{
	put_key(j, key);
	if (value)
		put_quoted(j, value);
	else
		put(j, "null", 4);
}

int json_take(struct json *j, char **ret_text, size_t *ret_n)
{
	if (!grow(j, 0)) {
		json_fini(j);
		return -ENOMEM;
	}
	j->text[j->n] = '\0';
	*ret_text = j->text;
	*ret_n = j->n;
	json_init(j);
	return 0;
}
