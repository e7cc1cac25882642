/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keys that tell about one file, user.foldfs.file.*, as text. Which there
 * are and what they say: foldfs/keys.h.
 */
#ifndef SRC_FS_FILE_KEYS_H
#define SRC_FS_FILE_KEYS_H

#include "base/compiler.h"
#include <fuse_lowlevel.h>

struct fs;

/* Write what @name says of @node to @text, IO_MAX_BYTES and more than any of
 * them needs. -ENODATA: no such key, or no regular file. */
int file_key(struct fs *fs, fuse_ino_t node, const char *name,
	     char *text) MUST_CHECK;

#endif
