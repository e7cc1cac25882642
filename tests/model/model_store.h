/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the store's model share: the model, and its operations that
 * move pages to disk and back.
 */
#ifndef TESTS_MODEL_MODEL_STORE_H
#define TESTS_MODEL_MODEL_STORE_H

#include "backing/io.h"
#include "base/compiler.h"
#include "content.h"
#include "model_file.h"
#include "store_rig.h"

struct model {
	struct store_rig rig;
	struct io_faults faults;
	struct content random;
	bool mem_is_tight;
	uint64_t seed, op;
	struct store_stats total; /* counts of the lives before this one */
	uint64_t attached;
	uint64_t cleaned, changed, failed; /* by all sweeps */
	uint64_t every; /* operations between two comparisons of all */
	bool sweeping;  /* between begin and end of a sweep */
	_Atomic bool writes_fail;
	unsigned char *buf;
	struct model_file file[RIG_FILES];
	struct model_file before; /* of the file that an operation changes */
};

#define EXPECT(m, cond)                                                        \
	do {                                                                   \
		if (!(cond))                                                   \
			model_fail(m, #cond, __LINE__);                        \
	} while (0)

void model_fail(const struct model *m, const char *what, int line)
	__attribute__((noreturn));

static inline uint64_t model_below(struct model *m, uint64_t n)
{
	return content_below(&m->random, n);
}

/* --- model_spill.c --- */

/* Writes fail while m->writes_fail says so. */
void model_spill_up(struct model *m);
/* Begin a sweep, or go on with the one that has begun: other operations come
 * in between, while pages are in flight. */
void model_sweep(struct model *m);
void model_sweep_end(struct model *m);
void model_sweep_whole(struct model *m);
void model_age(struct model *m);
void model_fetch(struct model *m, unsigned i);

#endif
