/* Writes the data of a policy: policy.c (the rules and everything about them), lines.c (their places
 * and comments in the rules file), source.c (the rules text and its sum), filters.c (seccomp programs).
 *
 * What a comment or a moved line changes is in lines.c and source.c alone. policy.c includes both, so
 * that the sizes of their tables are known where `sluice_policy` is made. */
#ifndef SLUICE_TABLES_H
#define SLUICE_TABLES_H

struct emitted;
struct layout;
struct model_filter;

void policy_emit(struct emitted *emitted, const struct layout *layout);

/* lines.c and source.c. */
void texts_emit(struct emitted *emitted, const struct layout *layout);

/* filters.c and filters.h. */
void filters_emit(struct emitted *emitted, const struct layout *layout);

/* The name of a filter's program; NULL for NULL. */
struct arena;
const char *filter_name(struct arena *arena, const struct model_filter *filter);

#endif
