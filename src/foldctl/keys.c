/* SPDX-License-Identifier: GPL-2.0-or-later */
/* keys.def as text, so that a kind or unit that is new needs no change here. */
#include "foldctl/keys.h"
#include "base/near.h"
#include "base/size.h"
#include "foldfs/keys.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IS_SETTABLE_READ false
#define IS_SETTABLE_SET true

const struct key key_table[] = {
#define KEY(id, kind, unit, access, sentence)                                  \
	{#id, #kind, #unit, IS_SETTABLE_##access, sentence},
#include "foldfs/keys.def"
#undef KEY
	{NULL, NULL, NULL, false, NULL},
};

size_t key_prefix(const char *name)
{
	size_t n = strlen(FOLDFS_KEY_PREFIX);

	return strncmp(name, FOLDFS_KEY_PREFIX, n) == 0 ? n : 0;
}

const char *key_values(const char *name)
{
	static const char *const values[][2] = {
#define VALUE(id, text) {#id, text},
#include "foldfs/values.def"
#undef VALUE
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (strcmp(values[i][0], name) == 0)
			return values[i][1];
	return NULL;
}

const struct key *key_find(const char *name)
{
	for (const struct key *key = key_table; key->name; key++)
		if (strcmp(key->name, name) == 0)
			return key;
	return NULL;
}

const char *key_near(const char *name)
{
	struct near near;

	near_init(&near, name);
	for (const struct key *key = key_table; key->name; key++)
		near_try(&near, key->name);
	return near.best;
}

static void seconds_text(uint64_t s, char text[KEY_VALUE_MAX])
{
	if (s >= 86400)
		snprintf(text, KEY_VALUE_MAX, "%" PRIu64 "d %" PRIu64 "h",
			 s / 86400, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(text, KEY_VALUE_MAX, "%" PRIu64 "h %" PRIu64 "min",
			 s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(text, KEY_VALUE_MAX, "%" PRIu64 "min %" PRIu64 "s",
			 s / 60, s % 60);
	else
		snprintf(text, KEY_VALUE_MAX, "%" PRIu64 "s", s);
}

static void number_text(const char *unit, uint64_t number,
			char text[KEY_VALUE_MAX])
{
	char size[SIZE_TEXT_MAX];

	if (strcmp(unit, "BYTES") == 0)
		snprintf(text, KEY_VALUE_MAX, "%s", size_format(number, size));
	else if (strcmp(unit, "PAGES") == 0)
		snprintf(text, KEY_VALUE_MAX, "%" PRIu64 " page%s", number,
			 number == 1 ? "" : "s");
	else if (strcmp(unit, "SECONDS") == 0)
		seconds_text(number, text);
	else
		snprintf(text, KEY_VALUE_MAX, "%" PRIu64, number);
}

const char *key_value(const char *name, const json_t *value, bool exact,
		      char text[KEY_VALUE_MAX])
{
	const struct key *key = key_find(name);

	*text = '\0';
	if (json_is_string(value)) {
		snprintf(text, KEY_VALUE_MAX, "%s", json_string_value(value));
	} else if (json_is_integer(value)) {
		number_text(key && !exact ? key->unit : "NONE",
			    (uint64_t)json_integer_value(value), text);
	} else if (json_is_real(value)) {
		snprintf(text, KEY_VALUE_MAX, "%.3f", json_real_value(value));
	} else if (json_is_array(value)) {
		snprintf(text, KEY_VALUE_MAX, "%zu row%s",
			 json_array_size(value),
			 json_array_size(value) == 1 ? "" : "s");
	}
	return text;
}
