/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of xattrs: walking, finding and changing its serialised form. */
#include "tree/set.h"
#include "base/heap.h"
#include "tree/records.h"
#include <errno.h>
#include <string.h>

#define HEAD_BYTES 5u

struct item {
	char *at;
	uint8_t name_n;
	uint32_t value_n;
};

static char *item_name(const struct item *item)
{
	return item->at + HEAD_BYTES;
}

static char *item_value(const struct item *item)
{
	return item_name(item) + item->name_n;
}

static size_t item_bytes(const struct item *item)
{
	return HEAD_BYTES + item->name_n + (size_t)item->value_n;
}

/* The item at @offset; false at the end and when it does not fit. */
static bool item_read(const struct xattr_set *set, size_t offset,
		      struct item *ret)
{
	if (offset + HEAD_BYTES > set->n)
		return false;
	ret->at = set->buf + offset;
	memcpy(&ret->name_n, ret->at, 1);
	memcpy(&ret->value_n, ret->at + 1, 4);
	return item_bytes(ret) <= set->n - offset;
}

void set_fini(struct xattr_set *set)
{
	heap_free(set->buf);
	*set = (struct xattr_set){0};
}

bool set_is_sane(const struct xattr_set *set)
{
	struct item item;
	size_t at = 0;

	while (item_read(set, at, &item)) {
		if (item.name_n == 0 ||
		    memchr(item_name(&item), '\0', item.name_n))
			return false;
		at += item_bytes(&item);
	}
	return at == set->n;
}

static bool find(const struct xattr_set *set, const char *name,
		 struct item *ret)
{
	size_t name_n = strlen(name);
	size_t at = 0;

	for (; item_read(set, at, ret); at += item_bytes(ret))
		if (ret->name_n == name_n &&
		    memcmp(item_name(ret), name, name_n) == 0)
			return true;
	return false;
}

char *set_get(const struct xattr_set *set, const char *name, size_t *ret_n)
{
	struct item item;

	if (!find(set, name, &item))
		return NULL;
	*ret_n = item.value_n;
	return item_value(&item);
}

static void cut(struct xattr_set *set, const struct item *item)
{
	size_t bytes = item_bytes(item);
	size_t behind = set->n - (size_t)(item->at - set->buf) - bytes;

	memmove(item->at, item->at + bytes, behind);
	set->n -= bytes;
}

bool set_drop(struct xattr_set *set, const char *name)
{
	struct item item;

	if (!find(set, name, &item))
		return false;
	cut(set, &item);
	return true;
}

/* Whether @name_n and @value_n more bytes are within the limits. */
static bool fits(const struct xattr_set *set, size_t name_n, size_t value_n)
{
	struct item item;
	size_t names = name_n + 1;
	size_t values = value_n;

	for (size_t at = 0; item_read(set, at, &item);
	     at += item_bytes(&item)) {
		names += item.name_n + 1u;
		values += item.value_n;
	}
	return names <= XATTR_NAMES_MAX && values <= XATTR_VALUES_MAX;
}

int set_put(struct xattr_set *set, const char *name, const void *value,
	    size_t n)
{
	size_t name_n = strlen(name);
	struct item item;
	struct item new = {.name_n = (uint8_t)name_n, .value_n = (uint32_t)n};
	char *buf = heap_resize(set->buf, set->n + HEAD_BYTES + name_n + n);

	if (!buf)
		return -ENOMEM;
	set->buf = buf;
	if (find(set, name, &item))
		cut(set, &item);
	if (!fits(set, name_n, n))
		return -ENOSPC;
	new.at = buf + set->n;
	memcpy(new.at, &new.name_n, 1);
	memcpy(new.at + 1, &new.value_n, 4);
	memcpy(item_name(&new), name, name_n);
	if (n != 0)
		memcpy(item_value(&new), value, n);
	set->n += item_bytes(&new);
	return 0;
}

size_t set_names(const struct xattr_set *set, char *buf, size_t cap)
{
	struct item item;
	size_t n = 0;

	for (size_t at = 0; item_read(set, at, &item);
	     at += item_bytes(&item)) {
		if (n + item.name_n + 1 <= cap) {
			memcpy(buf + n, item_name(&item), item.name_n);
			buf[n + item.name_n] = '\0';
		}
		n += item.name_n + 1u;
	}
	return n;
}

uint32_t set_flags(const struct xattr_set *set)
{
	uint32_t flags = 0;
	struct item item;

	if (find(set, XATTR_NAME_ACL, &item))
		flags |= XATTR_HAS_ACL;
	if (find(set, XATTR_NAME_DEFAULT_ACL, &item))
		flags |= XATTR_HAS_DEFAULT_ACL;
	if (find(set, XATTR_NAME_CAPABILITY, &item))
		flags |= XATTR_HAS_CAPABILITY;
	return flags;
}
