/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into the daemon: has the kernel refuse some of the entries that it
 * is offered by io_uring, by naming a queue that it does not have.
 *
 * $REFUSE says which: "all", "first" (of each worker), or "queue 0".
 */
#include <dlfcn.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Of struct fuse_uring_cmd_req of Linux 6.14. */
#define CMD_REGISTER 1
#define CMD_QUEUE_AT 16
#define NO_QUEUE UINT16_MAX

int io_uring_submit(struct io_uring *ring);

static bool is_refused(unsigned nth, uint16_t queue)
{
	const char *which = getenv("REFUSE");

	if (!which)
		return false;
	return strcmp(which, "all") == 0 ||
	       (strcmp(which, "first") == 0 && nth == 0) ||
	       (strcmp(which, "queue 0") == 0 && queue == 0);
}

int io_uring_submit(struct io_uring *ring)
{
	unsigned shift = ring->flags & IORING_SETUP_SQE128 ? 1 : 0, nth = 0;
	unsigned mask = *ring->sq.kring_mask;
	int (*submit)(struct io_uring *) = NULL;

	for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++) {
		struct io_uring_sqe *sqe =
			&ring->sq.sqes[(size_t)(i & mask) << shift];
		uint16_t queue;

		if (!shift || sqe->opcode != IORING_OP_URING_CMD ||
		    sqe->cmd_op != CMD_REGISTER)
			continue;
		memcpy(&queue, sqe->cmd + CMD_QUEUE_AT, sizeof(queue));
		if (is_refused(nth++, queue)) {
			queue = NO_QUEUE;
			memcpy(sqe->cmd + CMD_QUEUE_AT, &queue, sizeof(queue));
		}
	}
	*(void **)&submit = dlsym(RTLD_NEXT, "io_uring_submit");
	return submit ? submit(ring) : -1;
}
