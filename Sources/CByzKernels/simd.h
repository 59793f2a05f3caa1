// One vector vocabulary for all variants: clang's extended vectors, which every target compiles to its own instructions.
//
// A variant_*.c file sets the target, includes this file, and then includes each .inc twice through `instantiate.h`:
// once with T = float and once with T = double. Inside an .inc:
//
//   T, V, LANES      the element, the 64-byte accumulation vector and its lanes (16 or 8): its order fixes the bits
//   W, WLANES        the variant's native vector for per-column work, where the width cannot change a bit
//   NAME(median)     median_f32 or median_f64
//   BYZ_F32_ONLY     defined while T is float
#ifndef BYZ_SIMD_H
#define BYZ_SIMD_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CByzKernels.h"

// A contraction that only some targets can make would change bits: every multiply-add here is written as one.
#pragma STDC FP_CONTRACT OFF
// Vectors are passed only between always-inlined functions, so the ABI of 64-byte arguments does not matter.
#pragma clang diagnostic ignored "-Wpsabi"
#pragma clang diagnostic ignored "-Wunused-function"

#define BYZ_INLINE static inline __attribute__((always_inline))
#define BYZ_NOINLINE static __attribute__((noinline))
#define BYZ_PASTE_(a, b) a##_##b
#define BYZ_PASTE(a, b) BYZ_PASTE_(a, b)
#define BYZ_UNROLL _Pragma("clang loop unroll(full)")

typedef float v16f __attribute__((ext_vector_type(16)));
typedef double v8d __attribute__((ext_vector_type(8)));
typedef float v8f __attribute__((ext_vector_type(8)));
typedef double v4d __attribute__((ext_vector_type(4)));
typedef float v4f __attribute__((ext_vector_type(4)));
typedef double v2d __attribute__((ext_vector_type(2)));

#endif
