/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON writer: commas and escapes. */
#include "ctl/json.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void json_init(struct json *j)
{
	*j = (struct json){0};
}

void json_fini(struct json *j)
{
	text_fini(&j->text);
	json_init(j);
}

static void put(struct json *j, const char *s, size_t n)
{
	text_put(&j->text, s, n);
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

void json_digits(struct json *j, const char *key, const char *digits)
{
	put_key(j, key);
	put(j, digits, strlen(digits));
}

void json_number(struct json *j, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	json_digits(j, key, digits);
}

void json_bool(struct json *j, const char *key, bool value)
{
	json_digits(j, key, value ? "true" : "false");
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
	j->comma = false;
	return text_take(&j->text, ret_text, ret_n);
}
