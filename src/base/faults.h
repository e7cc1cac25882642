/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sentences about what does not add up, collected by a check that goes on.
 *
 * The first ones are kept, all are counted: after one thing broke, thousands
 * may look wrong.
 */
#ifndef SRC_BASE_FAULTS_H
#define SRC_BASE_FAULTS_H

#include "base/compiler.h"

#define FAULTS_KEPT 32
#define FAULT_BYTES 160

/* Zeroes: none. */
struct faults {
	unsigned found; /* kept or not */
	char text[FAULTS_KEPT][FAULT_BYTES];
};

/* Longer sentences are cut. */
void faults_add(struct faults *faults, const char *fmt, ...) PRINTF_LIKE(2, 3);
unsigned faults_kept(const struct faults *faults);

#endif
