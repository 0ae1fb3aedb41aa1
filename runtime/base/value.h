/* base/value.h: numbers, durations, sizes and words between text and memory.
 *
 * The notation of the graph language, which parameter tables use too. Pure functions. */
#ifndef BASE_VALUE_H
#define BASE_VALUE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_result {
	VALUE_OK,
	VALUE_SYNTAX,  /* is no such thing */
	VALUE_TOO_BIG, /* does not fit the type */
	VALUE_NEGATIVE /* unsigned wanted */
};

/* Whole numbers take 1_000, 0x1f, k M G T (powers of 1000) and Ki Mi Gi Ti (of 1024). */
enum value_result value_i64(const char *text, size_t size, int64_t *ret);
enum value_result value_u64(const char *text, size_t size, uint64_t *ret);
enum value_result value_f64(const char *text, size_t size,
                            double *ret); /* finite; 1.5, 1e3, 25% no */
/* 90s 1.5s 250ms 10us 5ns 2m 1h; 0 alone is fine; else the unit must stand. Never negative. */
enum value_result value_duration(const char *text, size_t size, int64_t *ret_ns);
enum value_result value_bytes(const char *text, size_t size,
                              uint64_t *ret); /* 4k 64Ki 64KiB 1MB 17 */
enum value_result value_bool(const char *text, size_t size, bool *ret);

/* What a type is called in messages: "a whole number", "a duration such as 250ms", … */
const char *value_type_name(uint32_t type);    /* "u64", "duration": enum pc_type */
const char *value_type_article(uint32_t type); /* "a whole number from 0 up" */
/* Shortest exact text of a duration: 1s, 250ms. */
void value_duration_text(struct buf *out, int64_t ns);

#endif
