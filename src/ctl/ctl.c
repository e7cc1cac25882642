/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys by their xattr names: get, set, list, and all of them as JSON.
 *
 * Every get takes one reading of everything: a few microseconds, and no key
 * can disagree with another of the same JSON.
 */
#include "ctl/ctl.h"
#include "base/heap.h"
#include "ctl/json.h"
#include "foldfs/keys.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Raised when a key changes its meaning or goes; new keys do not count. */
#define KEYS_SCHEMA 1u
/* The longest number. A size that is asked for before the value is read must
 * not become too small by a digit in between. */
#define NUMBER_MAX 20u

void ctl_values_fini(struct ctl_values *values)
{
	for (unsigned i = 0; i < CTL_NR; i++) {
		heap_free(values->text[i]);
		values->text[i] = NULL;
	}
}

static int collect(const struct ctl *ctl, struct ctl_values *ret_values)
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

static int find_key(const char *name, enum ctl_key *ret_key)
{
	size_t prefix = strlen(FOLDFS_KEY_PREFIX);

	if (strncmp(name, FOLDFS_KEY_PREFIX, prefix) != 0)
		return -ENODATA;
	for (unsigned i = 0; i < CTL_NR; i++)
		if (strcmp(name + prefix, ctl_key_info(i)->name) == 0) {
			*ret_key = (enum ctl_key)i;
			return 0;
		}
	return -ENODATA;
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
	return give(text, n, n / 8 + NUMBER_MAX, buf, cap, ret_n);
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
	r = collect(ctl, &values);
	if (r < 0)
		return r;
	if (ctl_key_info(key)->kind == CTL_KIND_TEXT) {
		text = values.text[key] ? values.text[key] : "";
		n = strlen(text);
		r = give(text, n, n / 8 + NUMBER_MAX, buf, cap, ret_n);
	} else {
		n = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64,
				     values.number[key]);
		r = give(digits, n, NUMBER_MAX - n, buf, cap, ret_n);
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

int ctl_json(const struct ctl *ctl, char **ret_text, size_t *ret_n)
{
	struct ctl_values values;
	struct json j;
	int r;

	r = collect(ctl, &values);
	if (r < 0)
		return r;
	json_init(&j);
	json_object_begin(&j, NULL);
	for (unsigned i = 0; i < CTL_NR; i++) {
		const struct ctl_key_info *info = ctl_key_info(i);

		if (info->kind == CTL_KIND_TEXT)
			json_string(&j, info->name, values.text[i]);
		else
			json_number(&j, info->name, values.number[i]);
	}
	json_object_end(&j);
	ctl_values_fini(&values);
	return json_take(&j, ret_text, ret_n);
}
