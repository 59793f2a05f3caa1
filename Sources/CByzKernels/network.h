// Batcher's odd-even merge sort of 64 values as a list of comparators: the smaller of values i < j goes to i.
//
// Depth first, so that a block is finished in registers before the next begins. Fewer values are sorted by the same
// list without the comparators that would only meet padding, since +Inf never moves down.
#ifndef BYZ_NETWORK_H
#define BYZ_NETWORK_H

#include <stddef.h>
#include <stdint.h>

// `second` is where the second half of its merge begins: with no values there, the merge has nothing to do.
typedef struct {
  uint8_t i, j, second;
} byz_comparator;

// k neighbouring comparators of reach r: (l, l + r), (l + 2r, l + 3r), …, in the merge whose second half starts at s.
#define BYZ_ROW1(l, r, s) {l, (l) + (r), s},
#define BYZ_ROW3(l, r, s) BYZ_ROW1(l, r, s) BYZ_ROW1((l) + 2 * (r), r, s) BYZ_ROW1((l) + 4 * (r), r, s)
#define BYZ_ROW7(l, r, s) BYZ_ROW3(l, r, s) BYZ_ROW1((l) + 6 * (r), r, s) BYZ_ROW3((l) + 8 * (r), r, s)
#define BYZ_ROW15(l, r, s) BYZ_ROW7(l, r, s) BYZ_ROW1((l) + 14 * (r), r, s) BYZ_ROW7((l) + 16 * (r), r, s)
#define BYZ_ROW31(l, r, s) BYZ_ROW15(l, r, s) BYZ_ROW1((l) + 30 * (r), r, s) BYZ_ROW15((l) + 32 * (r), r, s)

// Merges the sorted halves of l, l + r, l + 2r, …: the even ones, the odd ones, then neighbours.
#define BYZ_MERGE2(l, r, s) BYZ_ROW1(l, r, s)
#define BYZ_MERGE4(l, r, s) BYZ_MERGE2(l, 2 * (r), s) BYZ_MERGE2((l) + (r), 2 * (r), s) BYZ_ROW1((l) + (r), r, s)
#define BYZ_MERGE8(l, r, s) BYZ_MERGE4(l, 2 * (r), s) BYZ_MERGE4((l) + (r), 2 * (r), s) BYZ_ROW3((l) + (r), r, s)
#define BYZ_MERGE16(l, r, s) BYZ_MERGE8(l, 2 * (r), s) BYZ_MERGE8((l) + (r), 2 * (r), s) BYZ_ROW7((l) + (r), r, s)
#define BYZ_MERGE32(l, r, s) BYZ_MERGE16(l, 2 * (r), s) BYZ_MERGE16((l) + (r), 2 * (r), s) BYZ_ROW15((l) + (r), r, s)
#define BYZ_MERGE64(l, r, s) BYZ_MERGE32(l, 2 * (r), s) BYZ_MERGE32((l) + (r), 2 * (r), s) BYZ_ROW31((l) + (r), r, s)

#define BYZ_SORT2(l) BYZ_MERGE2(l, 1, (l) + 1)
#define BYZ_SORT4(l) BYZ_SORT2(l) BYZ_SORT2((l) + 2) BYZ_MERGE4(l, 1, (l) + 2)
#define BYZ_SORT8(l) BYZ_SORT4(l) BYZ_SORT4((l) + 4) BYZ_MERGE8(l, 1, (l) + 4)
#define BYZ_SORT16(l) BYZ_SORT8(l) BYZ_SORT8((l) + 8) BYZ_MERGE16(l, 1, (l) + 8)
#define BYZ_SORT32(l) BYZ_SORT16(l) BYZ_SORT16((l) + 16) BYZ_MERGE32(l, 1, (l) + 16)
#define BYZ_SORT64(l) BYZ_SORT32(l) BYZ_SORT32((l) + 32) BYZ_MERGE64(l, 1, (l) + 32)

static const byz_comparator byz_network[543] = {BYZ_SORT64(0)};

// Comparators to look at for `size` values: the first 19, 63 and 191 sort 8, 16 and 32.
#define BYZ_NETWORK_COUNT(size) ((size) <= 8 ? 19 : (size) <= 16 ? 63 : (size) <= 32 ? 191 : 543)

// The sizes that get code of their own, and the next such size for n values.
#define BYZ_NETWORK_MAX 64
#define BYZ_NETWORK_SIZES(X)                                                                       \
  X(4) X(8) X(12) X(16) X(20) X(24) X(28) X(32) X(36) X(40) X(48) X(56) X(64)
static inline size_t byz_network_size(size_t n) {
  return n <= 40 ? (n + 3) / 4 * 4 : (n + 7) / 8 * 8;
}

#endif
