// AVX2 with fused multiply-add.
#if defined(__x86_64__)
#include "simd.h"
#include "table.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define BYZ_TABLE byz_table_avx2
#define BYZ_W32 v8f
#define BYZ_W32_LANES 8
#define BYZ_W64 v4d
#define BYZ_W64_LANES 4
#include "variant.h"
#pragma clang attribute pop
#endif
