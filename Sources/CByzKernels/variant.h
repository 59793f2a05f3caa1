// The body of a variant: every kernel for both types, and the table that lists them. Included once by each variant_*.c,
// which has set its target, BYZ_TABLE and the native vectors BYZ_W32 and BYZ_W64.
#define BYZ_SOURCE "columns.inc"
#include "instantiate.h"
#undef BYZ_SOURCE
#define BYZ_SOURCE "geometry.inc"
#include "instantiate.h"
#undef BYZ_SOURCE
#define BYZ_SOURCE "random.inc"
#include "instantiate.h"
#undef BYZ_SOURCE

#include "convolution.inc"

#define BYZ_ENTRY(name, parameters, arguments) .name = {name##_f32, name##_f64},
#define BYZ_F32_ENTRY(name, parameters, arguments) .name = name,
const byz_table BYZ_TABLE = {BYZ_KERNELS(BYZ_ENTRY) BYZ_F32_KERNELS(BYZ_F32_ENTRY)};
#undef BYZ_ENTRY
#undef BYZ_F32_ENTRY
