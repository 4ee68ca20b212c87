/* The inside of a validation: what was asked, and what is expected. Internal to validate.c. */
#ifndef SLUICE_VALIDATION_H
#define SLUICE_VALIDATION_H

#include "compiler/base/buffer.h"
#include "compiler/base/table.h"
#include "runtime/include/policy.h"

/* As runtime/verify/verify.c has them. */
enum question {
    QUESTION_SLOT,
    QUESTION_TOKEN,
    QUESTION_CALLER_VARIABLE,
    QUESTION_CALLER_CWD,
    QUESTION_REQUEST,
};

struct asked {
    enum question kind;
    uint32_t rule, index;
    struct policy_decision expected;
    size_t at; /* of the question in the file */
};

/* Processor time of one kind of work. */
struct effort {
    double spent, most; /* seconds */
};

struct validation {
    struct arena *arena;
    const struct layout *layout;
    struct buffer questions;
    struct asked *asked;
    size_t asked_count, asked_capacity;
    struct effort pcre2, loose, values, requests;
    struct table seen; /* languages and tokens that were asked about, by address */
};

#endif
