/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our columns, options and kinds of cells, on top of libsmartcols. */
#include "foldctl/table.h"
#include "base/near.h"
#include "base/size.h"
#include "foldctl/foreign.h"
#include "foldctl/term.h"
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COLUMNS_MAX 64
/* Of --help: a line, and where what columns mean begins. */
#define HELP_WIDTH 79
#define HELP_INDENT 13

struct table {
	struct libscols_table *cols;
	struct libscols_line *line;
	const struct table_column *columns;
	bool exact; /* bytes as numbers */
	bool json;
	unsigned n;
	unsigned shown[COLUMNS_MAX]; /* which column is the i-th in print */
};

bool table_option(struct table_options *options, int option,
		  const char *argument)
{
	switch (option) {
	case 'o':
		options->output = argument;
		return true;
	case 'O':
		options->all = true;
		return true;
	case 'b':
		options->bytes = true;
		return true;
	case 'n':
		options->no_headings = true;
		return true;
	case 'r':
		options->raw = true;
		return true;
	case 'J':
		options->json = true;
		return true;
	}
	return false;
}

bool table_is_wanted(const struct table_options *options)
{
	return options->output || options->all || options->bytes ||
	       options->no_headings || options->raw || options->json;
}

static void no_memory(void)
{
	die("a table: %s", strerror(ENOMEM));
}

static void show(struct table *t, unsigned column)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->shown[i] == column)
			return;
	if (t->n < COLUMNS_MAX)
		t->shown[t->n++] = column;
}

static bool is_named(const char *name, const char *word, size_t n)
{
	return strlen(name) == n && strncasecmp(name, word, n) == 0;
}

/* The column of that name, or the number of columns. */
static unsigned find(const struct table_column *columns, const char *word,
		     size_t n)
{
	unsigned i = 0;

	while (columns[i].name && !is_named(columns[i].name, word, n))
		i++;
	return i;
}

static void unknown(const struct table_column *columns, const char *word,
		    size_t n)
{
	char text[64];
	struct near near;

	snprintf(text, sizeof(text), "%.*s", (int)n, word);
	near_init(&near, text);
	for (; columns->name; columns++)
		near_try(&near, columns->name);
	if (near.best)
		say("no column %s; did you mean %s?", text, near.best);
	else
		say("no column %s; --help lists them", text);
}

static bool show_list(struct table *t, const char *list)
{
	if (*list == '+')
		list++;
	while (*list) {
		size_t n = strcspn(list, ",");
		unsigned column = find(t->columns, list, n);

		if (!t->columns[column].name) {
			unknown(t->columns, list, n);
			return false;
		}
		show(t, column);
		list += n + (list[n] == ',');
	}
	return true;
}

static bool choose(struct table *t, const struct table_options *options)
{
	bool only_list = options->output && *options->output != '+';

	for (unsigned i = 0; t->columns[i].name && !only_list; i++)
		if (options->all || !t->columns[i].hidden)
			show(t, i);
	if (options->output && !show_list(t, options->output))
		return false;
	if (t->n > 0)
		return true;
	say("-o names no column; --help lists them");
	return false;
}

static int type_in_json(enum table_kind kind)
{
	switch (kind) {
	case TABLE_TEXT:
		return SCOLS_JSON_STRING;
	case TABLE_NUMBER:
	case TABLE_BYTES:
	case TABLE_RATIO:
		return SCOLS_JSON_NUMBER;
	}
	return SCOLS_JSON_STRING;
}

static void add_columns(struct table *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct table_column *c = &t->columns[t->shown[i]];
		/* On a terminal that is too narrow texts go on below. */
		int flags =
			c->kind == TABLE_TEXT ? SCOLS_FL_WRAP : SCOLS_FL_RIGHT;
		struct libscols_column *column =
			scols_table_new_column(t->cols, c->name, 0, flags);

		if (!column)
			no_memory();
		scols_column_set_json_type(column, type_in_json(c->kind));
	}
}

struct table *table_new(const char *name, const struct table_column *columns,
			const struct table_options *options)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		no_memory();
	t->columns = columns;
	t->exact = options->bytes || options->json;
	t->json = options->json;
	if (!choose(t, options)) {
		free(t);
		return NULL;
	}
	t->cols = scols_new_table();
	if (!t->cols || scols_table_set_name(t->cols, name) != 0)
		no_memory();
	add_columns(t);
	scols_table_enable_json(t->cols, options->json);
	scols_table_enable_raw(t->cols, options->raw);
	scols_table_enable_noheadings(t->cols, options->no_headings);
	scols_table_enable_colors(t->cols, term_has_color() && !t->json);
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	scols_unref_table(t->cols);
	free(t);
}

void table_row(struct table *t)
{
	t->line = scols_table_new_line(t->cols, NULL);
	if (!t->line)
		no_memory();
}

static bool place_of(const struct table *t, unsigned column, size_t *ret_place)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->shown[i] == column) {
			*ret_place = i;
			return true;
		}
	return false;
}

bool table_shows(const struct table *t, unsigned column)
{
	size_t place;

	return place_of(t, column, &place);
}

void table_text(struct table *t, unsigned column, const char *text)
{
	size_t place;
	char *own;

	if (!text || !place_of(t, column, &place))
		return;
	own = t->json ? foreign_utf8(text) : strdup(text);
	if (!own || scols_line_refer_data(t->line, place, own) != 0)
		no_memory();
}

void table_number(struct table *t, unsigned column, uint64_t number)
{
	char text[SIZE_TEXT_MAX];

	if (t->columns[column].kind == TABLE_BYTES && !t->exact)
		size_format(number, text);
	else
		snprintf(text, sizeof(text), "%" PRIu64, number);
	table_text(t, column, text);
}

void table_ratio(struct table *t, unsigned column, uint64_t whole,
		 uint64_t part)
{
	char text[32];

	if (part == 0)
		return;
	snprintf(text, sizeof(text), t->json ? "%.3f" : "%.1fx",
		 (double)whole / (double)part);
	table_text(t, column, text);
}

void table_color(struct table *t, unsigned column, const char *color)
{
	struct libscols_cell *cell;
	size_t place;

	if (!place_of(t, column, &place))
		return;
	cell = scols_line_get_cell(t->line, place);
	if (!cell || scols_cell_set_color(cell, color) != 0)
		no_memory();
}

int table_print(struct table *t, FILE *out)
{
	int r = scols_table_set_stream(t->cols, out);

	return r == 0 ? scols_print_table(t->cols) : r;
}

/* Words from column @at on, which go on in the next line below the first of
 * their text; where they end. */
static size_t put_words(const char *text, size_t at, FILE *out)
{
	while (*text) {
		size_t n = strcspn(text, " ");

		if (at + 1 + n > HELP_WIDTH) {
			fprintf(out, "\n%*s", HELP_INDENT, "");
			at = HELP_INDENT;
		}
		fprintf(out, " %.*s", (int)n, text);
		at += 1 + n;
		text += n + strspn(text + n, " ");
	}
	return at;
}

void table_help(const struct table_column *columns, FILE *out)
{
	for (; columns->name; columns++) {
		size_t at = (size_t)fprintf(out, " %-12s", columns->name);

		at = put_words(columns->help, at, out);
		if (columns->hidden)
			put_words("(with -o or -O)", at, out);
		putc('\n', out);
	}
}
