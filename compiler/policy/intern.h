/* Objects that are equal are one object. Internal to compiler/policy.
 *
 * An object's content is spelled as bytes (its key); what has the same key is the same. The order
 * of the objects is that of their first use in the file. */
#ifndef SLUICE_INTERN_H
#define SLUICE_INTERN_H

#include "compiler/policy/check.h"

struct buffer;

/* Appends a new object. Its place in the table is the caller's affair. */
void intern_append(struct check *check, struct interned *interned, const void *item);

/* The object of that key, or NULL: then the caller makes it and gives it to intern_add. */
void *intern_find(const struct interned *interned, const struct buffer *key);

/* Adds an object under a key that intern_find did not find. */
void intern_add(struct check *check, struct interned *interned, const struct buffer *key,
                void *item);

/* Takes `count` list items of a new object from the file's budget. False when it is used up
 * (reported once, at `at`): the object must not be made. */
bool intern_spend(struct check *check, size_t count, struct span at);

/* Spelling of content. Lengths go before texts, so that no two contents have one spelling. */
void key_number(struct buffer *key, uint64_t number);
void key_text(struct buffer *key, const char *text); /* NULL is not "" */
void key_template(struct buffer *key, const struct policy_template *path);

#endif
