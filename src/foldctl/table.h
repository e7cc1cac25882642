/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables and their JSON by libsmartcols, with the options that lsblk(8) and
 * zramctl(8) have for them.
 *
 * A program that has no memory for a table ends with a message: none of these
 * returns an error for that.
 */
#ifndef SRC_FOLDCTL_TABLE_H
#define SRC_FOLDCTL_TABLE_H

#include "base/compiler.h"
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum table_kind { TABLE_TEXT, TABLE_NUMBER, TABLE_BYTES, TABLE_RATIO };

struct table_column {
	const char *name; /* NULL behind the last */
	enum table_kind kind;
	bool hidden; /* only with -o or -O */
	const char *help;
};

struct table_options {
	const char *output; /* -o LIST or +LIST */
	bool all;           /* -O */
	bool bytes;         /* -b */
	bool no_headings;   /* -n */
	bool raw;           /* -r */
	bool json;          /* -J: numbers are exact, as with -b */
};

#define TABLE_SHORT "o:ObnrJ"
/* clang-format off */
#define TABLE_OPTIONS                                                          \
	{"output", required_argument, NULL, 'o'},                              \
	{"output-all", no_argument, NULL, 'O'},                                \
	{"bytes", no_argument, NULL, 'b'},                                     \
	{"noheadings", no_argument, NULL, 'n'},                                \
	{"raw", no_argument, NULL, 'r'},                                       \
	{"json", no_argument, NULL, 'J'}
/* clang-format on */
/* For the options of a verb's --help. */
#define TABLE_HELP                                                             \
	" -o, --output LIST    these columns; +LIST: as well\n"                \
	" -O, --output-all     all columns\n"                                  \
	" -b, --bytes          exact numbers instead of readable ones\n"       \
	" -n, --noheadings     no line of headings\n"                          \
	" -r, --raw            columns divided by one blank, none cut\n"       \
	" -J, --json           JSON, all numbers exact\n"

/* Whether @option was one of these, and is taken. */
bool table_option(struct table_options *options, int option,
		  const char *argument);

/* Whether one of them was given: a table is meant. */
bool table_is_wanted(const struct table_options *options);

struct table;
/*
 * @name is the list's name in JSON; @columns must outlive the table. NULL when
 * the -o list names a column that is not there: said, EXIT_USAGE.
 */
struct table *table_new(const char *name, const struct table_column *columns,
			const struct table_options *options) MUST_CHECK;
void table_free(struct table *table);

/* Whether the column is in print: else what it would show need not be asked
 * for. */
bool table_shows(const struct table *table, unsigned column);

/* Begin a row; its cells are empty. */
void table_row(struct table *table);
/* Cells of the last row; @column counts in the columns given to table_new(),
 * one that is not shown is passed over. Bytes and numbers by the kind. */
void table_text(struct table *table, unsigned column, const char *text);
void table_number(struct table *table, unsigned column, uint64_t number);
/* @whole / @part as "3.4x"; empty when @part is 0. */
void table_ratio(struct table *table, unsigned column, uint64_t whole,
		 uint64_t part);
/* "red", "yellow", "green"...: only where colours are wanted. */
void table_color(struct table *table, unsigned column, const char *color);

/* To @out. 0 or a negative errno. */
int table_print(struct table *table, FILE *out) MUST_CHECK;

/* The columns for --help. */
void table_help(const struct table_column *columns, FILE *out);

#endif
