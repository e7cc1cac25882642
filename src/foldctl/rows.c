/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes a table of a list of objects, without knowing what they are. */
#include "foldctl/rows.h"
#include "foldctl/exit.h"
#include "foldctl/term.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>

#define FIELDS_MAX 32
#define FIELD_NAME_MAX 32

/* Columns made of the fields of a row. */
struct fields {
	struct table_column columns[FIELDS_MAX + 1];
	const char *names[FIELDS_MAX];
	char headings[FIELDS_MAX][FIELD_NAME_MAX];
	unsigned n;
};

static enum table_kind kind_of(const char *name, const json_t *value)
{
	if (!json_is_number(value))
		return TABLE_TEXT;
	return strstr(name, "bytes") ? TABLE_BYTES : TABLE_NUMBER;
}

static void add_field(struct fields *f, const char *name, const json_t *value)
{
	char *heading = f->headings[f->n];

	if (f->n == FIELDS_MAX)
		return;
	for (unsigned i = 0; name[i] && i < FIELD_NAME_MAX - 1; i++)
		heading[i] = (char)toupper((unsigned char)name[i]);
	f->names[f->n] = name;
	f->columns[f->n] =
		(struct table_column){heading, kind_of(name, value), false, ""};
	f->n++;
}

void rows_cell(struct table *t, unsigned column, const json_t *row,
	       const char *field)
{
	const json_t *value = json_object_get(row, field);
	char text[32];

	if (json_is_string(value)) {
		table_text(t, column, json_string_value(value));
	} else if (json_is_integer(value) && json_integer_value(value) >= 0) {
		table_number(t, column, (uint64_t)json_integer_value(value));
	} else if (json_is_real(value)) {
		snprintf(text, sizeof(text), "%.1f", json_real_value(value));
		table_text(t, column, text);
	}
}

int rows_print(const char *name, const json_t *rows,
	       const struct table_options *options, FILE *out)
{
	struct fields f = {.n = 0};
	struct table *t;
	const char *field;
	json_t *value, *first = json_array_get(rows, 0);
	int r;

	if (!json_is_object(first))
		return EXIT_DONE;
	json_object_foreach(first, field, value) add_field(&f, field, value);
	t = table_new(name, f.columns, options);
	if (!t)
		return EXIT_USAGE;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		table_row(t);
		for (unsigned k = 0; k < f.n; k++)
			rows_cell(t, k, json_array_get(rows, i), f.names[k]);
	}
	r = table_print(t, out);
	table_free(t);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}
