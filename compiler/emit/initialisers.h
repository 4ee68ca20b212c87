/* Values of the runtime's contract (runtime/include/policy.h) as C initialisers.
 *
 * Owns their spelling: designated, on as many lines as a person would use, and without what is zero
 * anyway. Each function appends to `out`; `indent` is the number of spaces that lines begin with. */
#ifndef SLUICE_INITIALISERS_H
#define SLUICE_INITIALISERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/include/policy.h"

struct buffer;
struct layout;
struct model_attributes;
struct model_caller_value;
struct model_confinement;

/* "text", quotes included; NULL becomes NULL. */
void string_init(struct buffer *out, const char *text);

/* `.FIELD = {...},` and a newline, when the template is set. */
void template_init(struct buffer *out, unsigned indent, const char *field,
                   const struct policy_template *template);

/* The same without a field: an array's element. */
void template_element(struct buffer *out, unsigned indent, const struct policy_template *template);

/* Every field, each on a line of its own. */
void attributes_init(struct buffer *out, const struct layout *layout,
                     const struct model_attributes *attributes);

/* The same; `filter` is the name of the confinement's filter, or NULL. */
void confinement_init(struct buffer *out, const struct model_confinement *confinement,
                      const char *filter);

#endif
