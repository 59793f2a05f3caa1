// Includes BYZ_SOURCE for float and for double. No include guard: each variant includes it once per source.
#define BYZ_F32_ONLY 1
#define T float
#define V v16f
#define LANES 16
#define W BYZ_W32
#define WLANES BYZ_W32_LANES
#define NAME(x) BYZ_PASTE(x, f32)
#include BYZ_SOURCE
#undef BYZ_F32_ONLY
#undef T
#undef V
#undef LANES
#undef W
#undef WLANES
#undef NAME

#define T double
#define V v8d
#define LANES 8
#define W BYZ_W64
#define WLANES BYZ_W64_LANES
#define NAME(x) BYZ_PASTE(x, f64)
#include BYZ_SOURCE
#undef T
#undef V
#undef LANES
#undef W
#undef WLANES
#undef NAME
