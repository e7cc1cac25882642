/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys by their xattr names: get, set, list, and all of them as JSON.
 *
 * Every get takes one reading of everything: a few microseconds, in which the
 * workers go on, so sums may be a request apart from what they are sums of.
 */
#include "ctl/ctl.h"
#include "base/heap.h"
#include "ctl/rows.h"
#include "foldfs/keys.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Raised when a key changes its meaning or goes; new keys do not count. */
#define KEYS_SCHEMA 2u
/* The longest number. A size that is asked for before the value is read must
 * not become too small by a digit in between. */
#define NUMBER_MAX 20u
/* The same of a table: room for rows that come in between. */
#define ROWS_ROOM 1024u

void ctl_values_fini(struct ctl_values *values)
{
	for (unsigned i = 0; i < CTL_NR; i++) {
		heap_free(values->text[i]);
		values->text[i] = NULL;
	}
}

int ctl_collect(const struct ctl *ctl, struct ctl_values *ret_values)
{
	int r;

	memset(ret_values, 0, sizeof(*ret_values));
	r = ctl->ops->collect(ctl->arg, ret_values);
	if (r < 0)
		ctl_values_fini(ret_values);
	else
		ret_values->number[CTL_schema] = KEYS_SCHEMA;
	return r;
}

int ctl_find(const char *bare_name, enum ctl_key *ret_key)
{
	for (unsigned i = 0; i < CTL_NR; i++)
		if (strcmp(bare_name, ctl_key_info(i)->name) == 0) {
			*ret_key = (enum ctl_key)i;
			return 0;
		}
	return -ENODATA;
}

static int find_key(const char *name, enum ctl_key *ret_key)
{
	size_t prefix = strlen(FOLDFS_KEY_PREFIX);

	if (strncmp(name, FOLDFS_KEY_PREFIX, prefix) != 0)
		return -ENODATA;
	return ctl_find(name + prefix, ret_key);
}

static bool is_number(enum ctl_key key)
{
	enum ctl_kind kind = ctl_key_info(key)->kind;

	return kind == CTL_KIND_COUNTER || kind == CTL_KIND_GAUGE;
}

static int give(const char *value, size_t n, size_t room, void *buf, size_t cap,
		size_t *ret_n)
{
	if (cap == 0) {
		*ret_n = n + room;
		return 0;
	}
	if (n > cap)
		return -ERANGE;
	memcpy(buf, value, n);
	*ret_n = n;
	return 0;
}

static int get_stats(const struct ctl *ctl, void *buf, size_t cap,
		     size_t *ret_n)
{
	char *text AUTO(heap_autofree) = NULL;
	size_t n;
	int r;

	r = ctl_json(ctl, &text, &n);
	if (r < 0)
		return r;
	return give(text, n, n / 8 + ROWS_ROOM, buf, cap, ret_n);
}

int ctl_get(const struct ctl *ctl, const char *name, void *buf, size_t cap,
	    size_t *ret_n)
{
	struct ctl_values values;
	char digits[NUMBER_MAX + 1];
	enum ctl_key key;
	const char *text;
	size_t n;
	int r;

	if (strcmp(name, FOLDFS_KEY_STATS) == 0)
		return get_stats(ctl, buf, cap, ret_n);
	r = find_key(name, &key);
	if (r < 0)
		return r;
	r = ctl_collect(ctl, &values);
	if (r < 0)
		return r;
	if (is_number(key)) {
		n = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64,
				     values.number[key]);
		r = give(digits, n, NUMBER_MAX - n, buf, cap, ret_n);
	} else {
		text = values.text[key] ? values.text[key] : "";
		n = strlen(text);
		r = give(text, n, n / 8 + ROWS_ROOM, buf, cap, ret_n);
	}
	ctl_values_fini(&values);
	return r;
}

/* Without white space at its ends: echo and editors add a newline. */
static void trim(char *text)
{
	static const char white[] = " \t\r\n";
	size_t start = strspn(text, white), n = strlen(text);

	while (n > start && strchr(white, text[n - 1]))
		n--;
	memmove(text, text + start, n - start);
	text[n - start] = '\0';
}

int ctl_set(const struct ctl *ctl, const char *name, const void *value,
	    size_t n)
{
	char text[CTL_TEXT_MAX + 1];
	enum ctl_key key;
	int r;

	if (strcmp(name, FOLDFS_KEY_STATS) == 0)
		return -EPERM;
	r = find_key(name, &key);
	if (r < 0)
		return r;
	if (ctl_key_info(key)->access != CTL_SET)
		return -EPERM;
	if (n > CTL_TEXT_MAX)
		return -EINVAL;
	memcpy(text, value, n);
	text[n] = '\0';
	/* A NUL at the end is some writers' habit; inside it is no text. */
	if (n > 0 && text[n - 1] == '\0')
		n--;
	if (strlen(text) != n)
		return -EINVAL;
	trim(text);
	if (text[0] == '\0')
		return -EINVAL;
	return ctl->ops->set(ctl->arg, key, text);
}

/* The list's next name, counted and, where there is a buffer, copied. */
static int list_one(const char *name, char *buf, size_t cap, size_t *n)
{
	size_t prefix = strlen(FOLDFS_KEY_PREFIX), len = strlen(name) + 1;

	if (cap > 0) {
		if (*n + prefix + len > cap)
			return -ERANGE;
		memcpy(buf + *n, FOLDFS_KEY_PREFIX, prefix);
		memcpy(buf + *n + prefix, name, len);
	}
	*n += prefix + len;
	return 0;
}

int ctl_list(const struct ctl *ctl UNUSED, char *buf, size_t cap, size_t *ret_n)
{
	size_t n = 0;
	int r;

	for (unsigned i = 0; i < CTL_NR; i++) {
		r = list_one(ctl_key_info(i)->name, buf, cap, &n);
		if (r < 0)
			return r;
	}
	r = list_one(&FOLDFS_KEY_STATS[strlen(FOLDFS_KEY_PREFIX)], buf, cap,
		     &n);
	if (r == 0)
		*ret_n = n;
	return r;
}

void ctl_put_value(struct json *j, const char *name, enum ctl_key key,
		   const struct ctl_values *values)
{
	if (is_number(key))
		json_number(j, name, values->number[key]);
	else if (ctl_key_info(key)->kind == CTL_KIND_TABLE)
		rows_json(j, name, values->text[key]);
	else
		json_string(j, name, values->text[key]);
}

void ctl_put_values(struct json *j, const struct ctl_values *values)
{
	for (unsigned i = 0; i < CTL_NR; i++)
		ctl_put_value(j, ctl_key_info(i)->name, i, values);
}

int ctl_json(const struct ctl *ctl, char **ret_text, size_t *ret_n)
{
	struct ctl_values values;
	struct json j;
	int r;

	r = ctl_collect(ctl, &values);
	if (r < 0)
		return r;
	json_init(&j);
	json_object_begin(&j, NULL);
	ctl_put_values(&j, &values);
	json_object_end(&j);
	ctl_values_fini(&values);
	return json_take(&j, ret_text, ret_n);
}
