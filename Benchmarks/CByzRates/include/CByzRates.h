// How fast this processor can be at best: loops that do one kind of work and nothing else.
//
// Callers time them. Each is compiled for AVX-512, AVX2 and plain C, like the kernels it is to be compared with; `level` is
// the position of a variant in that order from the back: 0 plain, 1 AVX2, 2 AVX-512, which the caller has found available.
#ifndef CBYZRATES_H
#define CBYZRATES_H

#include <stdbool.h>
#include <stddef.h>

#pragma clang assume_nonnull begin

/// A kind of arithmetic.
typedef enum {
  /// a·b + c, fused.
  RATE_MULTIPLY_ADD = 0,
  /// (a - b)² + c: a subtraction and a fused multiply-add.
  RATE_SQUARED_DIFFERENCE = 1,
  /// The smaller or the larger of two numbers.
  RATE_MIN_MAX = 2,
  /// A logarithm, to single or double precision.
  RATE_TRANSCENDENTAL = 3,
} rate_kind;

/// Does the work `rounds` times over, on numbers that stay in registers or the nearest cache, and returns how many operations
/// that were, counted per number.
double rate_arithmetic(int level, bool wide, rate_kind kind, size_t rounds);

/// Adds `bytes` bytes of numbers, a multiple of 4096, once: from the first to the last or, `apart`, its four quarters beside each
/// other, which some processors read faster. Returns something that depends on all of them.
double rate_read(int level, const void *from, size_t bytes, bool apart);

/// Writes `bytes` bytes, a multiple of 4096 from a multiple of 64, once; `streaming` goes past the caches.
void rate_write(int level, void *to, size_t bytes, bool streaming);

#pragma clang assume_nonnull end
#endif
