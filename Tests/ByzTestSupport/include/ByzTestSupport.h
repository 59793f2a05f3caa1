// What tests must measure and Swift cannot: the memory that a thread holds.
#ifndef BYZ_TEST_SUPPORT_H
#define BYZ_TEST_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>

/// Whether this build can measure: with glibc, and without a sanitizer, which brings a malloc of its own.
bool byz_test_can_measure_memory(void);

/// Measures from now on what this thread allocates.
void byz_test_start_measuring(void);

/// The most bytes that this thread held at once of those it has allocated since then. Measuring ends.
size_t byz_test_peak_memory(void);

#endif
