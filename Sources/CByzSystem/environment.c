#include <pthread.h>

#include "CByzSystem.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void byz_environment_lock(void) { pthread_mutex_lock(&lock); }
void byz_environment_unlock(void) { pthread_mutex_unlock(&lock); }
