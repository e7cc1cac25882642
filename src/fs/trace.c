/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The debug option: every request and every reply, one line each on stderr. */
#include "fs/trace.h"
#include "base/compiler.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const char *const names[] = {
	[FUSE_LOOKUP] = "LOOKUP",	[FUSE_FORGET] = "FORGET",
	[FUSE_GETATTR] = "GETATTR",	[FUSE_SETATTR] = "SETATTR",
	[FUSE_READLINK] = "READLINK",	[FUSE_SYMLINK] = "SYMLINK",
	[FUSE_MKNOD] = "MKNOD",		[FUSE_MKDIR] = "MKDIR",
	[FUSE_UNLINK] = "UNLINK",	[FUSE_RMDIR] = "RMDIR",
	[FUSE_RENAME] = "RENAME",	[FUSE_LINK] = "LINK",
	[FUSE_OPEN] = "OPEN",		[FUSE_READ] = "READ",
	[FUSE_WRITE] = "WRITE",		[FUSE_STATFS] = "STATFS",
	[FUSE_RELEASE] = "RELEASE",	[FUSE_FSYNC] = "FSYNC",
	[FUSE_SETXATTR] = "SETXATTR",	[FUSE_GETXATTR] = "GETXATTR",
	[FUSE_LISTXATTR] = "LISTXATTR",	[FUSE_REMOVEXATTR] = "REMOVEXATTR",
	[FUSE_FLUSH] = "FLUSH",		[FUSE_INIT] = "INIT",
	[FUSE_OPENDIR] = "OPENDIR",	[FUSE_READDIR] = "READDIR",
	[FUSE_RELEASEDIR] = "RELEASEDIR", [FUSE_FSYNCDIR] = "FSYNCDIR",
	[FUSE_ACCESS] = "ACCESS",	[FUSE_CREATE] = "CREATE",
	[FUSE_INTERRUPT] = "INTERRUPT",	[FUSE_BMAP] = "BMAP",
	[FUSE_DESTROY] = "DESTROY",	[FUSE_IOCTL] = "IOCTL",
	[FUSE_POLL] = "POLL",		[FUSE_BATCH_FORGET] = "BATCH_FORGET",
	[FUSE_FALLOCATE] = "FALLOCATE",	[FUSE_READDIRPLUS] = "READDIRPLUS",
	[FUSE_RENAME2] = "RENAME2",	[FUSE_LSEEK] = "LSEEK",
	[FUSE_COPY_FILE_RANGE] = "COPY_FILE_RANGE",
	[FUSE_SYNCFS] = "SYNCFS",	[FUSE_TMPFILE] = "TMPFILE",
};
/* clang-format on */

const char *trace_name(uint32_t opcode)
{
	if (opcode >= ARRAY_SIZE(names) || !names[opcode])
		return "?";
	return names[opcode];
}

void trace_request(const struct fuse_in_header *head)
{
	fprintf(stderr,
		"%" PRIu64 " %s (%" PRIu32 ") node %" PRIu64 ":%" PRIu64
		" uid %" PRIu32 " pid %" PRIu32 ", %" PRIu32 " bytes\n",
		(uint64_t)head->unique, trace_name(head->opcode), head->opcode,
		(uint64_t)head->nodeid & UINT32_MAX,
		(uint64_t)head->nodeid >> 32, head->uid, head->pid, head->len);
}

void trace_reply(uint64_t unique, int error, uint32_t n_bytes)
{
	fprintf(stderr, "%" PRIu64 " -> %s, %" PRIu32 " bytes\n", unique,
		error ? strerrorname_np(-error) : "ok", n_bytes);
}
