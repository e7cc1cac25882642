/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POSIX ACLs: order of entries, equivalence with a mode, inheritance. */
#include "tree/acl.h"
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#define ACL_VERSION 2u

enum acl_tag {
	TAG_USER_OBJ = 0x01,
	TAG_USER = 0x02,
	TAG_GROUP_OBJ = 0x04,
	TAG_GROUP = 0x08,
	TAG_MASK = 0x10,
	TAG_OTHER = 0x20,
};

struct acl_head {
	uint32_t version;
};

struct acl_entry {
	uint16_t tag;
	uint16_t perm;
	uint32_t id;
};

static size_t count(size_t n)
{
	return (n - sizeof(struct acl_head)) / sizeof(struct acl_entry);
}

/* Values come from anywhere: no alignment is promised. */
static struct acl_entry entry_get(const void *acl, size_t i)
{
	const char *at = (const char *)acl + sizeof(struct acl_head);
	struct acl_entry e;

	memcpy(&e, at + i * sizeof(e), sizeof(e));
	e.tag = le16toh(e.tag);
	e.perm = le16toh(e.perm);
	e.id = le32toh(e.id);
	return e;
}

static void entry_set_perm(void *acl, size_t i, unsigned perm)
{
	char *at = (char *)acl + sizeof(struct acl_head);
	uint16_t le = htole16((uint16_t)perm);

	memcpy(at + i * sizeof(struct acl_entry) +
		       offsetof(struct acl_entry, perm),
	       &le, sizeof(le));
}

/* What tag may follow @tag, as a set of tags; 0: no such tag. */
static unsigned next_tags(unsigned tag)
{
	switch (tag) {
	case TAG_USER_OBJ:
	case TAG_USER:
		return TAG_USER | TAG_GROUP_OBJ;
	case TAG_GROUP_OBJ:
	case TAG_GROUP:
		return TAG_GROUP | TAG_MASK | TAG_OTHER;
	case TAG_MASK:
		return TAG_OTHER;
	default:
		return 0;
	}
}

static int check_entries(const void *acl, size_t n)
{
	unsigned may = TAG_USER_OBJ;
	unsigned seen = 0;

	for (size_t i = 0; i < count(n); i++) {
		struct acl_entry e = entry_get(acl, i);

		/* One tag each: "may & e.tag" alone would take a union. */
		if (!(e.tag & may) || (e.tag & (e.tag - 1u)) || e.perm & ~7u)
			return -EINVAL;
		if (e.tag & (TAG_USER | TAG_GROUP) && e.id == UINT32_MAX)
			return -EINVAL;
		seen |= e.tag;
		may = next_tags(e.tag);
	}
	if (!(seen & TAG_OTHER))
		return -EINVAL;
	if (seen & (TAG_USER | TAG_GROUP) && !(seen & TAG_MASK))
		return -EINVAL;
	return 0;
}

int acl_check(const void *acl, size_t n, bool *ret_empty)
{
	struct acl_head head;
	int r = 0;

	if (n < sizeof(head))
		return -EINVAL;
	memcpy(&head, acl, sizeof(head));
	if (le32toh(head.version) != ACL_VERSION)
		return -EOPNOTSUPP;
	if ((n - sizeof(head)) % sizeof(struct acl_entry) != 0)
		return -EINVAL;
	if (count(n) != 0)
		r = check_entries(acl, n);
	if (r == 0)
		*ret_empty = count(n) == 0;
	return r;
}

bool acl_to_mode(const void *acl, size_t n, mode_t *mode)
{
	bool same = true;
	mode_t bits = 0;
	unsigned mask = 8;

	for (size_t i = 0; i < count(n); i++) {
		struct acl_entry e = entry_get(acl, i);

		switch (e.tag) {
		case TAG_USER_OBJ:
			bits |= (mode_t)e.perm << 6;
			break;
		case TAG_GROUP_OBJ:
			bits |= (mode_t)e.perm << 3;
			break;
		case TAG_OTHER:
			bits |= e.perm;
			break;
		case TAG_MASK:
			mask = e.perm;
			same = false;
			break;
		default:
			same = false;
		}
	}
	if (mask != 8)
		bits = (bits & ~(mode_t)070) | mask << 3;
	*mode = (*mode & ~(mode_t)0777) | bits;
	return same;
}

/* The entry that the mode's group bits stand for. */
static size_t group_entry(const void *acl, size_t n)
{
	size_t group = 0;

	for (size_t i = 0; i < count(n); i++) {
		unsigned tag = entry_get(acl, i).tag;

		if (tag == TAG_MASK)
			return i;
		if (tag == TAG_GROUP_OBJ)
			group = i;
	}
	return group;
}

void acl_chmod(void *acl, size_t n, mode_t mode)
{
	for (size_t i = 0; i < count(n); i++) {
		unsigned tag = entry_get(acl, i).tag;

		if (tag == TAG_USER_OBJ)
			entry_set_perm(acl, i, mode >> 6 & 7);
		else if (tag == TAG_OTHER)
			entry_set_perm(acl, i, mode & 7);
	}
	entry_set_perm(acl, group_entry(acl, n), mode >> 3 & 7);
}

bool acl_inherit(void *acl, size_t n, mode_t *mode)
{
	size_t group = group_entry(acl, n);
	mode_t asked = *mode;

	for (size_t i = 0; i < count(n); i++) {
		struct acl_entry e = entry_get(acl, i);
		unsigned most = 7;

		if (e.tag == TAG_USER_OBJ)
			most = asked >> 6 & 7;
		else if (e.tag == TAG_OTHER)
			most = asked & 7;
		else if (i == group)
			most = asked >> 3 & 7;
		entry_set_perm(acl, i, e.perm & most);
	}
	return acl_to_mode(acl, n, mode);
}
