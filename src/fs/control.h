/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hidden file: its attributes, and the keys on it as extended attributes.
 *
 * It is in no directory listing and in no table; its name and node are fixed.
 */
#ifndef SRC_FS_CONTROL_H
#define SRC_FS_CONTROL_H

#include "fs/state.h"

void control_entry(const struct fs *fs, struct tree_entry *ret);
/* Root and who mounted: all others may only look. */
bool control_may_change(const struct fs *fs, uid_t uid);

void control_getxattr(fuse_req_t req, const char *name, size_t size);
void control_listxattr(fuse_req_t req, size_t size);
/* Answered later: a change may have to wait for workers. */
void control_setxattr(fuse_req_t req, const char *name, const char *value,
		      size_t n);

#endif
