/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The debug option: every request and every reply, one line each on stderr. */
#ifndef SRC_FS_TRACE_H
#define SRC_FS_TRACE_H

#include <linux/fuse.h>

void trace_request(const struct fuse_in_header *head);
void trace_reply(uint64_t unique, int error, uint32_t n_bytes);
/* "LOOKUP"; "?" for what we do not know. */
const char *trace_name(uint32_t opcode);

#endif
