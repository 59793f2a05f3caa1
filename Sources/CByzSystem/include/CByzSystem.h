// What the system offers and Swift cannot say well: processes, sockets, files, shared memory,
// processors.
//
// Functions that return int return 0 or more on success and minus the error number (-ENOENT) on
// failure, unless they say otherwise. What only Linux has returns -ENOSYS elsewhere.
#ifndef CBYZSYSTEM_H
#define CBYZSYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma clang assume_nonnull begin

// MARK: Processes

/// Starts the executable at `path` (NULL: the one that is running) and writes its process id.
///
/// fds:       become `first`, `first + 1`, … in the child, in order; -1 leaves a number closed. The
///            child has no other descriptor but standard output and error; its standard input is
///            empty.
/// arguments: ends with NULL; the first one is the name under which tools show the process.
/// additions: "NAME=value", ends with NULL; they replace what the environment has of those names.
/// pidfd:     a descriptor of the process for byz_wait_for_exit; -1 where the kernel has none.
///
/// The child blocks no signal.
int byz_spawn(const char *_Nullable path, const char *_Nullable const *_Nonnull arguments,
              const char *_Nullable const *_Nonnull additions, const int *_Nonnull fds, int count,
              int first, pid_t *pid, int *pidfd);

/// Held while this library sets variables for a library that it loads, and while it copies the environment for a child: a thread that
/// changes it moves the strings that another reads.
void byz_environment_lock(void);
void byz_environment_unlock(void);

/// A descriptor of a process for byz_wait_for_exit; -1 where the kernel has none.
int byz_open_process(pid_t pid);

/// Kills the process. With a pidfd it is safe at any time; without one, only before it was reaped.
int byz_kill(pid_t pid, int pidfd);

/// Waits until the process has ended: 1 when it has, 0 when it has not after so many milliseconds.
int byz_wait_for_exit(int pidfd, int milliseconds);

/// Waits for the process's end and forgets it: 0…255 for its exit status, 256 + s when signal s
/// killed it.
int byz_reap(pid_t pid);

/// Has this process killed when the thread that started it ends.
///
/// socket: one end of a pair that the parent made. When this process's parent is another one, the
///         parent has ended already, and so does this process.
int byz_die_with_parent(int socket);

// MARK: Descriptors and sockets

/// Two connected stream sockets with large buffers, closed when another program is executed.
int byz_socket_pair(int sockets[_Nonnull 2]);

/// Two connected sockets that descriptors can be passed through, closed when another program is
/// executed.
int byz_passage_pair(int sockets[_Nonnull 2]);

/// Passes a copy of the descriptor to who has the other end, with a number. Does not wait.
int byz_pass_descriptor(int socket, uint64_t number, int fd);

/// The next descriptor that was passed, and its number; -EAGAIN when there is none. Does not wait.
int byz_take_descriptor(int socket, uint64_t *number);

/// Has the descriptor closed when another program is executed.
int byz_close_on_exec(int fd);

/// Sends what the socket takes without waiting; the number of bytes, or -EAGAIN when it takes none.
/// No signal is raised when the other end is closed: -EPIPE.
ssize_t byz_send(int socket, const struct iovec *pieces, int count);

/// Returns how many bytes came; 0 at the end of the stream. When there are none it waits for some, or returns -EAGAIN.
ssize_t byz_receive(int socket, void *bytes, size_t count, bool waits);

/// Waits until the socket takes bytes, or has been shut down.
int byz_wait_until_writable(int socket);

/// Ends the stream in this direction, or in both; whoever waits on the socket returns.
void byz_shut_down(int socket, bool both);

/// Closes the descriptor; nothing for -1.
void byz_close(int fd);

// MARK: Files

/// A new file in a folder, without a name and open for reading and writing: it is gone with its last descriptor and mapping, however
/// the process ends. Fails where the system or the folder's file system has no such files.
int byz_open_nameless(const char *folder);

/// Gives such a file its name, once; -EEXIST when there is one of that name.
int byz_name_file(int fd, const char *path);

// MARK: Shared memory

/// Memory that can be mapped by every process that has the descriptor, which is returned. Its size
/// is fixed; pages that no one has touched cost nothing.
int byz_memory_create(const char *name, size_t byte_count);

/// The size of the memory behind a descriptor, in bytes; negative when it is no such memory.
int64_t byz_memory_size(int fd);

/// Maps the memory: NULL and *error when that fails.
void *_Nullable byz_memory_map(int fd, size_t byte_count, bool writable, int *error);

void byz_memory_unmap(void *address, size_t byte_count);

/// Gives pages back to the system; they read as zeros afterwards, in every process.
int byz_memory_discard(int fd, size_t offset, size_t byte_count);

/// The machine's memory in bytes; 0 when it cannot be told.
uint64_t byz_physical_memory(void);

/// Whether the address sanitizer watches this program.
bool byz_is_address_sanitized(void);

// MARK: Processors

/// Keeps the calling thread on one processor.
int byz_pin_thread(int cpu);

/// The NUMA node of a processor; -ENOSYS without libnuma.so.1, which is loaded on the first call.
int byz_node_of_cpu(int cpu);

/// Keeps the calling thread on the processors of a NUMA node, and its new memory there.
int byz_run_on_node(int node);

#pragma clang assume_nonnull end
#ifdef __cplusplus
}
#endif
#endif
