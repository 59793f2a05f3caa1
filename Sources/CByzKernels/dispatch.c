// Which variant runs, and the public entry points that call it.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "CByzKernels.h"
#include "table.h"

bool byz_isa_available(byz_isa isa) {
  switch (isa) {
  case BYZ_PLAIN: return true;
#if defined(__x86_64__)
  case BYZ_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  case BYZ_AVX512:
    return byz_isa_available(BYZ_AVX2) && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
#endif
  default: return false;
  }
}

static byz_isa first_choice(void) {
  const char *wish = getenv("BYZKIT_KERNELS");
  static const char *const names[] = {"plain", "avx2", "avx512"};
  for (int isa = BYZ_PLAIN; isa <= BYZ_AVX512; isa++)
    if (wish && strcmp(wish, names[isa]) == 0 && byz_isa_available((byz_isa)isa)) return (byz_isa)isa;
  for (int isa = BYZ_AVX512; isa > BYZ_PLAIN; isa--)
    if (byz_isa_available((byz_isa)isa)) return (byz_isa)isa;
  return BYZ_PLAIN;
}

// -1 until the first use. Two threads may both choose; they choose alike.
static atomic_int selected = -1;

byz_isa byz_isa_selected(void) {
  int isa = atomic_load_explicit(&selected, memory_order_relaxed);
  if (isa < 0) {
    isa = (int)first_choice();
    int unset = -1;
    if (!atomic_compare_exchange_strong(&selected, &unset, isa)) isa = unset;
  }
  return (byz_isa)isa;
}

bool byz_isa_select(byz_isa isa) {
  if (!byz_isa_available(isa)) return false;
  atomic_store(&selected, (int)isa);
  return true;
}

static const byz_table *table(void) {
  switch (byz_isa_selected()) {
#if defined(__x86_64__)
  case BYZ_AVX2: return &byz_table_avx2;
  case BYZ_AVX512: return &byz_table_avx512;
#endif
  default: return &byz_table_plain;
  }
}

#define BYZ_UNPACK(...) __VA_ARGS__
#define BYZ_DEFINE(name, parameters, arguments)                              \
  void byz_##name(byz_type type, BYZ_UNPACK parameters) {                    \
    table()->name[type] arguments;                                           \
  }
BYZ_KERNELS(BYZ_DEFINE)

#define BYZ_DEFINE_F32(name, parameters, arguments) \
  void byz_##name parameters { table()->name arguments; }
BYZ_F32_KERNELS(BYZ_DEFINE_F32)
