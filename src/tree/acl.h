/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * POSIX ACLs in the form of their xattrs (version 2, little endian): checks
 * and the arithmetic between an ACL and a mode, as fs/posix_acl.c has it.
 * Pure; works on the bytes in place.
 */
#ifndef SRC_TREE_ACL_H
#define SRC_TREE_ACL_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* 0 or -EINVAL (-EOPNOTSUPP: another version). An ACL without entries is
 * valid and means "none": @ret_empty. */
int acl_check(const void *acl, size_t n, bool *ret_empty) MUST_CHECK;

/*
 * Put the permissions that @acl gives into the lower nine bits of @mode. True
 * when the mode says all that the ACL says: then it need not be kept.
 */
bool acl_to_mode(const void *acl, size_t n, mode_t *mode);

/* chmod(): owner, mask (or group) and other follow @mode. */
void acl_chmod(void *acl, size_t n, mode_t mode);

/*
 * A new file under a default ACL: cut @acl, a copy of it, and the mode asked
 * for down to what both allow. True as acl_to_mode().
 */
bool acl_inherit(void *acl, size_t n, mode_t *mode);

#endif
