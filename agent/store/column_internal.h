/* What column.c and column_read.c share. Nobody else includes this. */
#ifndef STROBE_STORE_COLUMN_INTERNAL_H
#define STROBE_STORE_COLUMN_INTERNAL_H

#include "store/column.h"

/* The first byte of the codecs that tell changes. */
enum { CHANGES_LOW = 7, CHANGES_UNSIGNED = 8, CHANGES_SCALE = 16, CHANGES_LOW_MAX = 6 };
enum { RUN_WIDTH_MAX = 56 };

#endif
