/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests that come by io_uring instead of by reads of /dev/fuse.
 *
 * The kernel (Linux 6.14, if its administrator allowed it) has a queue for each
 * CPU and takes entries for it: places for one request and its reply, in our
 * memory. A request is copied into a free one by the thread that offered it,
 * when that thread looks; giving the entry back sends the reply and asks for
 * the next request, and one system call gives back many. Each worker has a ring
 * with entries in all queues, or in some. FORGETs and what comes before the
 * reply to INIT still come by /dev/fuse, and so does the session's end.
 *
 * An entry cannot be taken from the kernel but by the end of its thread, and
 * then whatever was just being copied into it would hang. So the workers stay
 * as long as the mount: their number is fixed.
 */
#ifndef SRC_FS_RING_H
#define SRC_FS_RING_H

#include "base/compiler.h"
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The bit of INIT, newer than Debian 12's <linux/fuse.h>. */
#define RING_INIT_FLAG (UINT64_C(1) << 41)

struct fs;
struct rings;
struct ring;
struct ring_entry;
struct worker;

/* --- a mount's --- */

/* Rings for so many workers, before the crew is made; fs->rings when it returns
 * 0. -EOPNOTSUPP: not in this build, this kernel, or not allowed there: then
 * @ret_why says what to do. -ENOSPC: mem_limit; others: the system. */
int rings_new(struct fs *fs, unsigned nr_workers, const char **ret_why);
/* The crew is gone. */
void rings_free(struct fs *fs);
/* What they take of mem_limit. */
uint64_t rings_bytes(unsigned nr_workers);
/* The kernel has our reply to INIT and offered the flag: workers begin. */
void rings_begin(struct fs *fs);
/* They did. */
bool rings_began(const struct fs *fs);
/* For the worker's epoll set, with EPOLLET; -1: the slot has no ring. */
int rings_fd(const struct fs *fs, unsigned slot);

/* --- for the worker itself; @w->ring is set by ring_join() --- */

/* At an edge of its work: takes up its ring once the mount's rings began. */
void ring_join(struct worker *w);
/* As loop_next_request(), of its ring alone; @w's buffers are the entry's. */
ssize_t ring_next(struct worker *w);
/* True once after each time that something happened in the epoll set. */
bool ring_looks_aside(struct worker *w);
void ring_look_aside(struct worker *w);
/* What was replied goes to the kernel now: before anything that may take long. */
void ring_flush(struct worker *w);
/* Until there is a request, something happens in the epoll set, or @wait_ms have
 * passed; -1: however long it takes. */
void ring_sleep(struct worker *w, int wait_ms);
/* How many of its entries may wait at a time without a reply, so that none of
 * its queues is without one. */
unsigned ring_holds(const struct worker *w);
/* The request in @entry is gone on with: its buffers become @w's; NULL: it came
 * by /dev/fuse. Also without a ring. */
void ring_open(struct worker *w, struct ring_entry *entry);

/* --- for whoever has the request --- */

/* The reply to the request in @entry; its data may lie anywhere in it. */
void ring_reply(struct ring_entry *entry, const struct iovec *iov, int count);

#endif
