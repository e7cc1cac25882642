/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sentences about what does not add up. */
#include "base/faults.h"
#include <stdarg.h>
#include <stdio.h>

void faults_add(struct faults *faults, const char *fmt, ...)
{
	unsigned ix = faults->found++;
	va_list args;

	if (ix >= FAULTS_KEPT)
		return;
	va_start(args, fmt);
	vsnprintf(faults->text[ix], FAULT_BYTES, fmt, args);
	va_end(args);
}

unsigned faults_kept(const struct faults *faults)
{
	return faults->found < FAULTS_KEPT ? faults->found : FAULTS_KEPT;
}
