/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From keys to metrics. Numbers follow keys.def by a rule; texts are the labels
 * of one info; tables are listed here, field by field.
 */
#include "foldctl/families.h"
#include "foldctl/context.h"
#include "foldctl/keys.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Labels of a table's samples, by the names of its fields. */
#define LABELS_MAX 2

/* One field of a table, a sample for each row; without a field it is 1. */
struct column {
	const char *key, *field;
	const char *label[LABELS_MAX];
	struct metric metric;
};

/* clang-format off */
static const struct column columns[] = {
	{"slots", NULL, {"slot", "state"},
	 {"slot_state", METRIC_GAUGE, NULL,
	  "1 for the state that a worker slot is in"}},
	{"slots", "requests", {"slot"},
	 {"slot_requests", METRIC_COUNTER, NULL,
	  "requests that a worker slot carried out"}},
	{"slots", "bytes_in", {"slot"},
	 {"slot_in_bytes", METRIC_COUNTER, "bytes",
	  "bytes that a worker slot took from writes"}},
	{"slots", "bytes_out", {"slot"},
	 {"slot_out_bytes", METRIC_COUNTER, "bytes",
	  "bytes that a worker slot gave to reads"}},
	{"slots", "stream_bytes", {"slot"},
	 {"slot_stream_bytes", METRIC_GAUGE, "bytes",
	  "RAM of a worker slot's compression buffers"}},
	{"slots", "arena_bytes", {"slot"},
	 {"slot_arena_bytes", METRIC_GAUGE, "bytes",
	  "the same as the heap counts it"}},
	{"slots", "found_empty", {"slot"},
	 {"slot_found_empty", METRIC_COUNTER, NULL,
	  "times that a worker slot was picked and had nothing to lend"}},
	{"sets", "objects", {"set", "codec"},
	 {"set_objects", METRIC_GAUGE, NULL,
	  "objects stored with a codec and level"}},
	{"sets", "current", {"set", "codec"},
	 {"set_current", METRIC_GAUGE, NULL,
	  "1 for the codec and level of new data"}},
	{"lock_contention", "waits", {"class"},
	 {"lock_waits", METRIC_COUNTER, NULL,
	  "times that a lock of a class was waited for"}},
};
/* clang-format on */

static const struct metric up = {"up", METRIC_GAUGE, NULL,
				 "whether the daemon of the mount answers"};
static const struct metric texts = {"mount", METRIC_INFO, NULL,
				    "the keys that are texts"};
static const struct metric longest = {
	"request_longest_seconds", METRIC_GAUGE, "seconds",
	"longest time that a request took in the daemon"};
static const struct metric duration = {
	"request_duration_seconds", METRIC_HISTOGRAM, "seconds",
	"how long requests took in the daemon, from read to replied"};

/* Bounds of the histogram: shorter than a microsecond nothing is, and what
 * takes longer than the last takes too long. */
#define FIRST_BOUND_BIT 10
#define LAST_BOUND_BIT 36

/* --- numbers --- */

/* Take @word out of @name where it stands between underlines or at an end. */
static void remove_word(char *name, const char *word)
{
	size_t n = strlen(word);

	for (char *at = name; (at = strstr(at, word)); at++) {
		bool begins = at == name || at[-1] == '_';

		if (!begins || (at[n] != '_' && at[n] != '\0'))
			continue;
		if (at[n] == '_')
			memmove(at, at + n + 1, strlen(at + n + 1) + 1);
		else if (at > name)
			at[-1] = '\0';
		return;
	}
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && strcmp(name + n - m, end) == 0;
}

const char *family_name(const char *key, const char *unit,
			char name[FAMILY_NAME_MAX])
{
	size_t n;

	snprintf(name, FAMILY_NAME_MAX, "%s", key);
	if (ends_with(name, "_total"))
		name[strlen(name) - strlen("_total")] = '\0';
	if (unit) {
		remove_word(name, unit);
		n = strlen(name);
		snprintf(name + n, FAMILY_NAME_MAX - n, "_%s", unit);
	}
	return name;
}

static const char *unit_of(const struct key *key, char unit[16])
{
	size_t i;

	if (strcmp(key->unit, "NONE") == 0)
		return NULL;
	for (i = 0; key->unit[i] && i < 15; i++)
		unit[i] = (char)tolower((unsigned char)key->unit[i]);
	unit[i] = '\0';
	return unit;
}

/* A daemon of another version may not have the key. */
static const json_t *value_of(const struct reading *reading, const char *key)
{
	return reading->stats ? json_object_get(reading->stats, key) : NULL;
}

static void print_number(struct exposition *e, const struct key *key,
			 const struct reading *readings, unsigned n)
{
	char name[FAMILY_NAME_MAX], unit[16];
	struct metric metric = {
		.type = strcmp(key->kind, "COUNTER") == 0 ? METRIC_COUNTER
							  : METRIC_GAUGE,
		.unit = unit_of(key, unit),
		.help = key->sentence,
	};

	metric.name = family_name(key->name, metric.unit, name);
	exposition_family(e, &metric);
	for (unsigned i = 0; i < n; i++) {
		if (!value_of(&readings[i], key->name))
			continue;
		exposition_sample(e, readings[i].mount, "");
		exposition_number(e,
				  answer_number(readings[i].stats, key->name));
	}
}

static void print_numbers(struct exposition *e, const struct reading *readings,
			  unsigned n)
{
	for (const struct key *key = key_table; key->name; key++)
		if (strcmp(key->kind, "COUNTER") == 0 ||
		    strcmp(key->kind, "GAUGE") == 0)
			print_number(e, key, readings, n);
}

/* --- texts, and whether there is anything at all --- */

static void print_up(struct exposition *e, const struct reading *readings,
		     unsigned n)
{
	exposition_family(e, &up);
	for (unsigned i = 0; i < n; i++) {
		exposition_sample(e, readings[i].mount, "");
		exposition_number(e, readings[i].stats != NULL);
	}
}

static void print_texts(struct exposition *e, const struct reading *readings,
			unsigned n)
{
	exposition_family(e, &texts);
	for (unsigned i = 0; i < n; i++) {
		if (!readings[i].stats)
			continue;
		exposition_sample(e, readings[i].mount, "");
		for (const struct key *key = key_table; key->name; key++) {
			const char *text =
				answer_text(readings[i].stats, key->name);

			if (strcmp(key->kind, "TEXT") == 0 && text)
				exposition_label(e, key->name, text);
		}
		exposition_number(e, 1);
	}
}

/* --- tables --- */

static void put_label(struct exposition *e, const json_t *row,
		      const char *field)
{
	const json_t *value = json_object_get(row, field);
	char digits[32];

	snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT,
		 json_integer_value(value));
	exposition_label(e, field,
			 json_is_string(value) ? json_string_value(value)
					       : digits);
}

/* Whether the row has all that a sample is made of. */
static bool is_whole(const struct column *column, const json_t *row)
{
	for (unsigned i = 0; i < LABELS_MAX && column->label[i]; i++)
		if (!json_object_get(row, column->label[i]))
			return false;
	return !column->field || json_object_get(row, column->field);
}

static void print_row(struct exposition *e, const struct column *column,
		      const struct mount *mount, const json_t *row)
{
	if (!is_whole(column, row))
		return;
	exposition_sample(e, mount, "");
	for (unsigned i = 0; i < LABELS_MAX && column->label[i]; i++)
		put_label(e, row, column->label[i]);
	exposition_number(e, column->field ? answer_number(row, column->field)
					   : 1);
}

static void print_column(struct exposition *e, const struct column *column,
			 const struct reading *readings, unsigned n)
{
	exposition_family(e, &column->metric);
	for (unsigned i = 0; i < n; i++) {
		const json_t *table = value_of(&readings[i], column->key);
		const json_t *row;
		size_t at;

		json_array_foreach(table, at, row)
			print_row(e, column, readings[i].mount, row);
	}
}

/* --- latency --- */

static void sample_of_op(struct exposition *e, const struct mount *mount,
			 const char *part, const char *op)
{
	exposition_sample(e, mount, part);
	exposition_label(e, "op", op);
}

/* The key is in microseconds. */
static void print_seconds(struct exposition *e, const json_t *row,
			  const char *field)
{
	double us = json_number_value(json_object_get(row, field));

	exposition_fraction(e, us / 1e6);
}

static void print_longest(struct exposition *e, const struct reading *readings,
			  unsigned n)
{
	exposition_family(e, &longest);
	for (unsigned i = 0; i < n; i++) {
		const json_t *table = value_of(&readings[i], "latency");
		const json_t *row;
		size_t at;

		json_array_foreach(table, at, row)
		{
			const char *op = answer_text(row, "op");

			if (!op)
				continue;
			sample_of_op(e, readings[i].mount, "", op);
			print_seconds(e, row, "max_us");
		}
	}
}

/* Requests of @op that took at most @le_ns. */
static uint64_t count_up_to(const json_t *buckets, const char *op,
			    uint64_t le_ns)
{
	const json_t *row;
	uint64_t sum = 0;
	size_t at;

	json_array_foreach(buckets, at, row)
	{
		const char *of = answer_text(row, "op");

		if (of && strcmp(of, op) == 0 &&
		    answer_number(row, "le_ns") <= le_ns)
			sum += answer_number(row, "count");
	}
	return sum;
}

static void print_histogram(struct exposition *e, const struct reading *reading,
			    const json_t *row)
{
	const json_t *buckets = value_of(reading, "latency_buckets");
	const struct mount *mount = reading->mount;
	const char *op = answer_text(row, "op");
	char le[32];

	if (!op)
		return;
	for (unsigned bit = FIRST_BOUND_BIT; bit <= LAST_BOUND_BIT; bit++) {
		uint64_t ns = UINT64_C(1) << bit;

		snprintf(le, sizeof(le), "%.12g", (double)ns / 1e9);
		sample_of_op(e, mount, "_bucket", op);
		exposition_label(e, "le", le);
		exposition_number(e, count_up_to(buckets, op, ns));
	}
	sample_of_op(e, mount, "_bucket", op);
	exposition_label(e, "le", "+Inf");
	exposition_number(e, answer_number(row, "count"));
	sample_of_op(e, mount, "_sum", op);
	print_seconds(e, row, "total_us");
	sample_of_op(e, mount, "_count", op);
	exposition_number(e, answer_number(row, "count"));
}

static void print_durations(struct exposition *e,
			    const struct reading *readings, unsigned n)
{
	exposition_family(e, &duration);
	for (unsigned i = 0; i < n; i++) {
		const json_t *table = value_of(&readings[i], "latency");
		const json_t *row;
		size_t at;

		json_array_foreach(table, at, row)
			print_histogram(e, &readings[i], row);
	}
}

void families_print(struct exposition *e, const struct reading *readings,
		    unsigned n)
{
	print_up(e, readings, n);
	print_texts(e, readings, n);
	print_numbers(e, readings, n);
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		print_column(e, &columns[i], readings, n);
	print_longest(e, readings, n);
	print_durations(e, readings, n);
	exposition_end(e);
}
