/* The text of one accept function, in each of its forms.
 *
 * Owns the C and re2c that a reviewer reads; what is matched was decided before (matcher.h,
 * layout.h). Each function appends definitions to `out`. */
#ifndef SLUICE_ACCEPTORS_H
#define SLUICE_ACCEPTORS_H

struct accept;
struct arena;
struct buffer;
struct layout;
struct matcher;

/* A pattern, or the whole of a token of several slots, in the form chosen for it. Needs re2c when
 * that form is MATCHER_CODE or MATCHER_COUNTED. */
void acceptor_matcher(struct arena *arena, struct buffer *out, const char *name,
                      const struct matcher *matcher);

/* Several pattern lines together: every inclusion and no exclusion. */
void acceptor_combined(struct buffer *out, const struct accept *accept);

/* A token with one slot: what stands before and after it, and the slot's own function. */
void acceptor_token(struct buffer *out, const struct layout *layout, const struct accept *accept);

/* A pattern of engine = pcre2. */
void acceptor_pcre2(struct buffer *out, const struct accept *accept);

#endif
