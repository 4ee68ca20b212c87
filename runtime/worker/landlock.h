/* Landlock: the kernel's interface for every ABI up to 7, by own definitions (Debian 12's headers
 * end at ABI 2), and the rights that each kind of access stands for.
 *
 * Owns the mapping between `fs_read`, `fs_exec`, `fs_write` and access rights, and what each ABI
 * lacks. Knows nothing of paths and policies. landlock(7) and the kernel's
 * Documentation/userspace-api/landlock.rst. */
#ifndef SLUICE_LANDLOCK_H
#define SLUICE_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/include/policy.h"

#define LANDLOCK_ABI_MAX 7

/* handled_access_fs, by the ABI that brought them */
#define FS_EXECUTE (1ull << 0) /* ABI 1 */
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_REMOVE_DIR (1ull << 4)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_CHAR (1ull << 6)
#define FS_MAKE_DIR (1ull << 7)
#define FS_MAKE_REG (1ull << 8)
#define FS_MAKE_SOCK (1ull << 9)
#define FS_MAKE_FIFO (1ull << 10)
#define FS_MAKE_BLOCK (1ull << 11)
#define FS_MAKE_SYM (1ull << 12)
#define FS_REFER (1ull << 13)     /* ABI 2; under ABI 1 refused always */
#define FS_TRUNCATE (1ull << 14)  /* ABI 3 */
#define FS_IOCTL_DEV (1ull << 15) /* ABI 5 */

/* handled_access_net, ABI 4 */
#define NET_BIND_TCP (1ull << 0)
#define NET_CONNECT_TCP (1ull << 1)

/* scoped, ABI 6 */
#define SCOPE_ABSTRACT_UNIX (1ull << 0)
#define SCOPE_SIGNAL (1ull << 1)

/* What a layer takes charge of: everything in it that no rule allows is refused. All zero: no layer. */
struct landlock_layer {
    uint64_t files, network, scoped;
};

/* The kernel's Landlock ABI; 0 when it has none or it is switched off. */
int landlock_abi(void);

/* Every file right that an ABI knows. */
uint64_t landlock_file_rights(int abi);

/* The rights of an access to a directory and all beneath it, or (is_directory false) to one file. */
uint64_t landlock_access_rights(enum policy_access access, bool is_directory);

/* An empty ruleset for a layer, whose members the ABI must know. Returns a close-on-exec descriptor
 * or a negative errno. */
int landlock_ruleset(const struct landlock_layer *layer);

/* Allows `rights` on the object behind `descriptor` (O_PATH is enough) and, if it is a directory, on
 * everything beneath. Rights that the layer does not handle, or that a file cannot have, are left
 * out. Returns 0 or a negative errno. */
int landlock_allow_path(int ruleset, const struct landlock_layer *layer, int descriptor,
                        bool is_directory, uint64_t rights);

/* Allows `rights` (NET_*) for a TCP port. Returns 0 or a negative errno. */
int landlock_allow_port(int ruleset, uint16_t port, uint64_t rights);

/* Puts the calling thread under the ruleset, for good; needs no_new_privs or CAP_SYS_ADMIN. Returns
 * 0 or a negative errno (-E2BIG: 16 layers are the most); leaves errno alone. */
int landlock_restrict(int ruleset);

#endif
