/* Mounts inside a worker's own mount namespace.
 *
 * Owns what the namespace looks like: everything read-only but what may be written (metadata =
 * within), denied paths covered, protected ones read-only, a /proc of its own pid namespace. Runs
 * once, in the worker, before its first call. Never leaves a way back to the broker's own mounts. */
#ifndef SLUICE_MOUNTS_H
#define SLUICE_MOUNTS_H

struct confinement_setup;

/* Changes the mounts as the setup says. The working directory is entered again by its path; if that
 * is not possible it becomes / and `*directory_lost` the errno, else 0. Returns 0 or a negative
 * errno. mount_setattr(2), open_tree(2), move_mount(2): Linux 5.12. */
int mounts_enter(const struct confinement_setup *setup, int *directory_lost);

/* Tries what mounts_enter would do, in a process that ends right after; mounts_probe_proc the same
 * for a /proc of the process's own pid namespace. Both return 0 or a negative errno. */
int mounts_probe(void);
int mounts_probe_proc(void);

#endif
