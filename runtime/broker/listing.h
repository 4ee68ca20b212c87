/* The menu: what a broker runs, for people and for programs.
 *
 * Owns: the form of the listing (which sluicify --list shows and --shims reads) and of
 * `agent-broker policy`. Never: opens, sends, or says anything that is not in the rules file.
 *
 * The text has one stanza a rule, a blank line between: the rule's comment lines, each after "; ",
 * the command line as the rules file has it, and for each slot an indented "name = pattern". An
 * unindented line that does not start with ';' is therefore a command line. */
#ifndef SLUICE_LISTING_H
#define SLUICE_LISTING_H

#include "runtime/broker/json.h"
#include "runtime/include/policy.h"
#include "runtime/shared/io.h"

/* Writes the menu. Stops early when it does not fit (text->truncated). */
void listing_write(struct text *text, const struct policy *policy);

/* {"broker":…,"rules":[{"line":…,"command":…,"comment":…,"slots":[{"name":…,"pattern":…}]}]} */
void listing_write_json(struct json *json, const struct policy *policy);

/* What the broker was made from: the rules text, its hash, the compiler, each rule's confinement. */
void policy_write(struct text *text, const struct policy *policy);
void policy_write_json(struct json *json, const struct policy *policy);

#endif
