/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of fields: written as text, read again as JSON. */
#include "ctl/rows.h"
#include "base/check.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A field's name or value that is longer belongs to no table of ours. */
#define WORD_MAX 256u

void rows_init(struct rows *rows)
{
	*rows = (struct rows){0};
}

void rows_fini(struct rows *rows)
{
	text_fini(&rows->text);
	rows_init(rows);
}

static void end_row(struct rows *rows)
{
	if (rows->in_row)
		text_put(&rows->text, "\n", 1);
	rows->in_row = false;
}

void rows_next(struct rows *rows)
{
	end_row(rows);
}

static void put_name(struct rows *rows, const char *name)
{
	if (rows->in_row)
		text_put(&rows->text, " ", 1);
	rows->in_row = true;
	text_put_string(&rows->text, name);
	text_put(&rows->text, "=", 1);
}

void rows_number(struct rows *rows, const char *name, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	put_name(rows, name);
	text_put_string(&rows->text, digits);
}

void rows_tenths(struct rows *rows, const char *name, uint64_t tenths)
{
	char digits[32];

	snprintf(digits, sizeof(digits), "%" PRIu64 ".%u", tenths / 10,
		 (unsigned)(tenths % 10));
	put_name(rows, name);
	text_put_string(&rows->text, digits);
}

void rows_word(struct rows *rows, const char *name, const char *value)
{
	put_name(rows, name);
	if (!*value)
		value = "-";
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		text_put(&rows->text, c <= ' ' || c == 0x7f ? "_" : value, 1);
	}
}

int rows_take(struct rows *rows, char **ret_text)
{
	size_t n;

	end_row(rows);
	return text_take(&rows->text, ret_text, &n);
}

/* "12" or "3.4" as JSON has it: no sign, no needless zero before. */
static bool is_number(const char *word)
{
	size_t whole = strspn(word, "0123456789"), part;

	if (whole == 0 || whole > 20 || (word[0] == '0' && whole > 1))
		return false;
	if (word[whole] == '\0')
		return true;
	part = strspn(word + whole + 1, "0123456789");
	return word[whole] == '.' && part > 0 && word[whole + 1 + part] == '\0';
}

/* The word from @from up to one of @ends, copied; gives where it ended. */
static const char *word_of(const char *from, const char *ends,
			   char word[WORD_MAX])
{
	size_t n = strcspn(from, ends);

	invariant(n < WORD_MAX);
	memcpy(word, from, n);
	word[n] = '\0';
	return from + n;
}

static const char *field_json(struct json *j, const char *text)
{
	char name[WORD_MAX], value[WORD_MAX];

	text = word_of(text, "= \n", name);
	invariant(*text == '=');
	text = word_of(text + 1, " \n", value);
	if (is_number(value))
		json_digits(j, name, value);
	else
		json_string(j, name, value);
	return text + (*text == ' ');
}

void rows_json(struct json *j, const char *key, const char *text)
{
	json_list_begin(j, key);
	while (text && *text) {
		json_object_begin(j, NULL);
		while (*text && *text != '\n')
			text = field_json(j, text);
		json_object_end(j);
		text += *text == '\n';
	}
	json_list_end(j);
}
