// Plain C: no target beyond the compiler's default. fmaf and fma come from the C library, with the bits of the instructions.
#include "simd.h"
#include "table.h"

#define BYZ_TABLE byz_table_plain
#define BYZ_W32 v4f
#define BYZ_W32_LANES 4
#define BYZ_W64 v2d
#define BYZ_W64_LANES 2
#include "variant.h"
