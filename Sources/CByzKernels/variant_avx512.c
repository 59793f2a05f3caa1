// AVX-512 (F, DQ, BW, VL).
#if defined(__x86_64__)
#include "simd.h"
#include "table.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), apply_to = function)
#define BYZ_TABLE byz_table_avx512
#define BYZ_W32 v16f
#define BYZ_W32_LANES 16
#define BYZ_W64 v8d
#define BYZ_W64_LANES 8
#include "variant.h"
#pragma clang attribute pop
#endif
