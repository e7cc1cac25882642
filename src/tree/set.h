/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set of xattrs in memory, in the form it is stored in: one after the other
 *
 *	u8 name length | u32 value length | name | value
 *
 * in the machine's byte order (an arena never leaves its machine). Pure: no
 * locks, no arena.
 */
#ifndef SRC_TREE_SET_H
#define SRC_TREE_SET_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define XATTR_NAME_ACL "system.posix_acl_access"
#define XATTR_NAME_DEFAULT_ACL "system.posix_acl_default"
#define XATTR_NAME_CAPABILITY "security.capability"

/* All names and all values of one inode together. */
#define XATTR_NAMES_MAX (64u << 10)
#define XATTR_VALUES_MAX (1u << 20)
#define XATTR_SET_MAX (XATTR_NAMES_MAX * 6 + XATTR_VALUES_MAX)

struct xattr_set {
	char *buf; /* NULL when empty */
	size_t n;
};

void set_fini(struct xattr_set *set);
/* False for bytes that are no set. */
bool set_is_sane(const struct xattr_set *set);
/* The value, or NULL; it may be changed in place. */
char *set_get(const struct xattr_set *set, const char *name, size_t *ret_n);
/* Make or replace. -ENOMEM, -ENOSPC (too much in all). */
int set_put(struct xattr_set *set, const char *name, const void *value,
	    size_t n) MUST_CHECK;
/* False when there was none. */
bool set_drop(struct xattr_set *set, const char *name);
/* Bytes of all names with their NULs; written to @buf if @cap is enough. */
size_t set_names(const struct xattr_set *set, char *buf, size_t cap);
/* enum xattr_flag. */
uint32_t set_flags(const struct xattr_set *set);

#endif
