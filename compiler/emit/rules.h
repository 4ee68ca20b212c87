/* Writes rules.h and the rule functions: one for each rule, which alone decides whether the rule takes
 * a request (dispatch only chooses which rules are asked).
 *
 * Owns the order of checks in a rule: the number of arguments, the literal words, then each slot's
 * pattern, then what refuses although the pattern accepts (a leading dash, a value over its cap). */
#ifndef SLUICE_RULES_H
#define SLUICE_RULES_H

struct emitted;
struct layout;

void rules_emit(struct emitted *emitted, const struct layout *layout);

#endif
