#include "CByzRates.h"

#include <stdint.h>
#include <string.h>

// Vectors are passed between functions of this file only.
#pragma clang diagnostic ignored "-Wpsabi"

#define UNROLL _Pragma("clang loop unroll(full)")
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)

/// Volatile, so that no result can be computed before the program runs, and none is left out.
static volatile double seed = 1.0;
static _Thread_local volatile double sink;

#define VARIANT plain
typedef float f32_4 __attribute__((ext_vector_type(4)));
typedef double f64_2 __attribute__((ext_vector_type(2)));
#define F32 f32_4
#define F64 f64_2
#include "variant.inc"
#undef VARIANT
#undef F32
#undef F64

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define VARIANT avx2
typedef float f32_8 __attribute__((ext_vector_type(8)));
typedef double f64_4 __attribute__((ext_vector_type(4)));
#define F32 f32_8
#define F64 f64_4
#include "variant.inc"
#undef VARIANT
#undef F32
#undef F64
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)
#define VARIANT avx512
typedef float f32_16 __attribute__((ext_vector_type(16)));
typedef double f64_8 __attribute__((ext_vector_type(8)));
#define F32 f32_16
#define F64 f64_8
#include "variant.inc"
#undef VARIANT
#undef F32
#undef F64
#pragma clang attribute pop

#define CHOOSE(name, ...) (level == 2 ? name##_avx512(__VA_ARGS__) : level == 1 ? name##_avx2(__VA_ARGS__) : name##_plain(__VA_ARGS__))
#else
#define CHOOSE(name, ...) name##_plain(__VA_ARGS__)
#endif

double rate_arithmetic(int level, bool wide, rate_kind kind, size_t rounds) {
  (void)level;
  return CHOOSE(arithmetic, wide, kind, rounds);
}

double rate_read(int level, const void *from, size_t bytes, bool apart) {
  (void)level;
  return apart ? CHOOSE(read_apart, (const char *)from, bytes) : CHOOSE(read, (const char *)from, bytes);
}

void rate_write(int level, void *to, size_t bytes, bool streaming) {
  (void)level;
  CHOOSE(write, (char *)to, bytes, streaming);
}
