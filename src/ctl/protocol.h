/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket's language: a line in, a line of JSON out.
 *
 * include/foldfs/control.h says what there is to ask. Nothing here waits and
 * nothing here knows of sockets: a `set` is checked and given to the caller,
 * who has it carried out where waiting is allowed.
 */
#ifndef SRC_CTL_PROTOCOL_H
#define SRC_CTL_PROTOCOL_H

#include "base/faults.h"
#include "ctl/ctl.h"
#include <stddef.h>

/* What a peer may ask for. */
enum ctl_right {
	CTL_MAY_NOTHING,
	CTL_MAY_ASK,
	CTL_MAY_CHANGE, /* and ask */
};

struct protocol {
	const struct ctl *ctl;
	const char *mountpoint;
	const char *source;
	unsigned id;
};

/* A line with its newline; also when there is no memory for one. */
struct answer {
	const char *text; /* NULL: there is none */
	size_t n;
	char *owned; /* heap_alloc()ed; NULL: the text is a constant */
};
void answer_fini(struct answer *answer);

enum protocol_next {
	PROTOCOL_ANSWERED,
	PROTOCOL_SET,   /* no answer yet: it depends on how the set went */
	PROTOCOL_CHECK, /* no answer yet: it is what the check finds */
	PROTOCOL_STOP,  /* answered; end the mount once that has been sent */
};

/* What a `set` asks for; the value is in the line. */
struct protocol_set {
	enum ctl_key key;
	const char *value;
	size_t n;
};

/*
 * Answer the line of @n bytes at @line, which end before the newline; a NUL is
 * at line[n]. The line is changed.
 */
enum protocol_next protocol_line(const struct protocol *p, enum ctl_right right,
				 char *line, size_t n,
				 struct answer *ret_answer,
				 struct protocol_set *ret_set);

/* Carry out, as ctl_set() does; may wait. @value has @n bytes. */
int protocol_set(const struct ctl *ctl, enum ctl_key key, const char *value,
		 size_t n) MUST_CHECK;
/* The answer to a `set` that ended with @r. */
struct answer protocol_set_answer(const struct ctl *ctl, enum ctl_key key,
				  int r);

/* How many of something a check has seen. */
struct protocol_seen {
	const char *name;
	uint64_t n;
};

/* The answer to a `check` that saw @n kinds of things... */
struct answer protocol_check_answer(const struct protocol_seen *seen,
				    unsigned n, uint64_t took_ms,
				    const struct faults *faults);
/* ... or that could not be made. */
struct answer protocol_check_refusal(int r);

/* A line that has no end. */
struct answer protocol_too_long(void);

#endif
