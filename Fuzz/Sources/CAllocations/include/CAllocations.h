// How much a piece of code takes from the heap, counted by the hooks of the address sanitizer.
#ifndef CALLOCATIONS_H
#define CALLOCATIONS_H

#include <stddef.h>

/// Begins to count the bytes that this thread has on the heap beyond those it has now.
void byz_allocations_begin(void);

/// Ends it; returns the most there were at any time in between.
size_t byz_allocations_end(void);

#endif
