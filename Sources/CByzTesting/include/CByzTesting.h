// Lets a child process that runs the test executable do something other than run all tests.
#ifndef CBYZ_TESTING_H
#define CBYZ_TESTING_H

/// What runs in place of main where the environment has BYZKIT_WORKER. Defined in Swift, and missing where no test has workers.
void byzkit_test_worker_main(void) __attribute__((weak));

#endif
