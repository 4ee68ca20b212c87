/* The checked model: what a rules file means. Its errors are in tests/language/errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/base/arena.h"
#include "compiler/base/diagnostic.h"
#include "compiler/policy/describe.h"
#include "compiler/policy/model.h"

struct fixture {
    struct arena *arena;
    const struct model *model;
};

static struct fixture load_named(const char *name, const char *text)
{
    struct fixture fixture = {.arena = arena_new(0)};
    struct source *source = source_from_text(fixture.arena, name, text, strlen(text));
    struct diagnostics *diagnostics = diagnostics_new(fixture.arena, source);
    fixture.model = model_from_source(fixture.arena, source, diagnostics);
    if (!fixture.model)
        diagnostics_print(diagnostics, stderr, DIAGNOSTIC_TEXT);
    assert_non_null(fixture.model);
    return fixture;
}

static struct fixture load(const char *text)
{
    return load_named("agent.rules", text);
}

static const struct model_rule *rule(const struct fixture *fixture, size_t index)
{
    assert_true(index < fixture->model->rule_count);
    return &fixture->model->rules[index];
}

static void check_path(const struct fixture *fixture, struct policy_template path,
                       const char *expected)
{
    assert_string_equal(describe_path(fixture->arena, &path), expected);
}

static void check_accepts(const struct automaton *automaton, const char *value, bool accepts)
{
    assert_non_null(automaton);
    if (automaton_accepts(automaton, value, strlen(value)) != accepts)
        fail_msg("'%s' is %saccepted", value, accepts ? "not " : "");
}

/* ---- the file -------------------------------------------------------------------------------- */

static void test_broker_initial(void **state)
{
    (void)state;
    struct fixture f = load("git status\n");
    const struct model *model = f.model;
    assert_string_equal(model->name, "agent");
    assert_string_equal(model->file, "agent.rules");
    assert_int_equal(model->rule_count, 1);
    assert_true(model->audit_strict);
    assert_true(model->confine_strict);
    assert_true(model->explain);
    assert_int_equal(model->max_active, 64);
    assert_int_equal(model->queue, 256);
    assert_int_equal(model->stop_timeout_ms, 10000);
    assert_int_equal(model->allow_uid_count, 0);
    assert_null(model->logfile.pieces);
    assert_null(model->socket.pieces);
    assert_false(model->uses_pcre2);
    arena_free(f.arena);
}

static void test_broker_settings(void **state)
{
    (void)state;
    struct fixture f = load("defaults:\n"
                            "  max_active = 4096\n"
                            "  queue = 0\n"
                            "  stop_timeout = 1500ms\n"
                            "  explain = off\n"
                            "  audit = best-effort\n"
                            "  confine = best-effort\n"
                            "  allow_uid = 0, alice, 4294967294\n"
                            "  socket = $XDG_RUNTIME_DIR/x.sock\n"
                            "  logfile = ${XDG_STATE_HOME}/log\n"
                            "git status\n");
    const struct model *model = f.model;
    assert_false(model->audit_strict);
    assert_false(model->confine_strict);
    assert_false(model->explain);
    assert_int_equal(model->max_active, 4096);
    assert_int_equal(model->queue, 0);
    assert_int_equal(model->stop_timeout_ms, 1500);
    assert_int_equal(model->allow_uid_count, 3);
    assert_null(model->allow_uid[0].name);
    assert_int_equal(model->allow_uid[0].uid, 0);
    assert_string_equal(model->allow_uid[1].name, "alice");
    assert_int_equal(model->allow_uid[2].uid, 4294967294u);
    check_path(&f, model->socket, "$XDG_RUNTIME_DIR/x.sock");
    check_path(&f, model->logfile, "$XDG_STATE_HOME/log");
    assert_int_equal(model->socket.count, 2);
    assert_int_equal(model->socket.pieces[0].kind, TEMPLATE_XDG_RUNTIME_DIR);
    arena_free(f.arena);
}

static void check_name(const char *path, const char *file, const char *name)
{
    struct fixture f = load_named(path, "git status\n");
    assert_string_equal(f.model->file, file);
    assert_string_equal(f.model->name, name);
    arena_free(f.arena);
}

static void test_names_of_the_file(void **state)
{
    (void)state;
    check_name("/srv/x y/my agent.rules", "my agent.rules", "my_agent");
    check_name("policy", "policy", "policy");
    check_name("<stdin>", "<stdin>", "_stdin_");
    check_name(".rules", ".rules", "_rules");
}

/* ---- the rule line --------------------------------------------------------------------------- */

static void test_rule_line(void **state)
{
    (void)state;
    struct fixture f = load("; first\n"
                            "; second\n"
                            "git push 'a b' #branch #paths...{0,7}\n"
                            "  branch = [a-z]+\n"
                            "  allow_any = paths\n");
    const struct model_rule *git = rule(&f, 0);
    assert_int_equal(git->line, 3);
    assert_string_equal(git->comment, "first\nsecond");
    assert_string_equal(git->text, "git push 'a b' #branch #paths...{0,7}");
    assert_int_equal(git->token_count, 5);
    assert_int_equal(git->tokens[0].kind, TOKEN_LITERAL);
    assert_int_equal(git->tokens[2].kind, TOKEN_LITERAL);
    assert_string_equal(git->tokens[2].pieces[0].literal, "a b");
    assert_int_equal(git->tokens[3].kind, TOKEN_SLOT);
    assert_int_equal(git->tokens[3].pieces[0].slot, 0);
    assert_int_equal(git->tokens[4].kind, TOKEN_REST);
    assert_int_equal(git->tokens[4].pieces[0].slot, 1);
    assert_int_equal(git->tokens[4].minimum, 0);
    assert_int_equal(git->tokens[4].maximum, 7);
    assert_int_equal(git->slot_count, 2);
    assert_string_equal(git->slots[0].name, "branch");
    assert_string_equal(git->slots[0].description, "[a-z]+");
    assert_string_equal(git->slots[1].description, "anything");
    assert_true(git->slots[1].any);
    assert_true(git->slots[1].allow_dash);
    assert_null(git->slots[1].language);
    assert_int_equal(git->slots[1].max_bytes, POLICY_VALUE_MAX);
    arena_free(f.arena);
}

static void test_home_literals(void **state)
{
    (void)state;
    struct fixture f = load("ls $HOME/a\n"
                            "ls $HOME/b\n"
                            "cat $HOME/a '$HOME/a' a$ $1\n"
                            "$HOME/bin/tool\n");
    assert_int_equal(f.model->expansion_count, 3);
    assert_int_equal(rule(&f, 0)->tokens[1].kind, TOKEN_EXPANSION);
    assert_int_equal(rule(&f, 0)->tokens[1].expansion_index, 0);
    assert_int_equal(rule(&f, 1)->tokens[1].expansion_index, 1);
    assert_int_equal(rule(&f, 2)->tokens[1].expansion_index, 0);
    assert_int_equal(rule(&f, 2)->tokens[2].kind, TOKEN_LITERAL);
    assert_string_equal(rule(&f, 2)->tokens[2].pieces[0].literal, "$HOME/a");
    assert_int_equal(rule(&f, 3)->tokens[0].kind, TOKEN_EXPANSION);
    check_path(&f, f.model->expansions[0], "$HOME/a");
    assert_int_equal(f.model->expansions[0].count, 2);
    arena_free(f.arena);
}

static void test_mixed_tokens(void **state)
{
    (void)state;
    struct fixture f = load("run --jobs=#{n} #{a}:#{b}\n"
                            "  n = -?[0-9]+\n"
                            "  a = -?[a-z]*\n"
                            "  b = -?[0-9]*\n"
                            "run #{x}#{y}\n"
                            "  x = [a-z]*\n"
                            "  y = -?[0-9]+\n"
                            "run x#{any}y\n"
                            "  allow_any = any\n");
    const struct model_rule *run = rule(&f, 0);
    assert_int_equal(run->tokens[1].kind, TOKEN_MIXED);
    assert_int_equal(run->tokens[1].piece_count, 2);
    assert_true(run->slots[0].allow_dash); /* not at its token's start */
    check_accepts(run->slots[0].accepted, "-5", true);
    assert_false(run->slots[1].allow_dash); /* at the start */
    check_accepts(run->slots[1].accepted, "-a", false);
    check_accepts(run->slots[1].accepted, "a", true);
    assert_true(run->slots[2].allow_dash); /* a literal is before it */
    check_accepts(run->tokens[1].automaton, "--jobs=-5", true);
    check_accepts(run->tokens[1].automaton, "--jobs=", false);
    /* The token's own language does not know of the dash rule. */
    check_accepts(run->tokens[2].automaton, "-a:-1", true);
    /* What stands before #y can be empty: then #y is at the start. */
    assert_false(rule(&f, 1)->slots[1].allow_dash);
    check_accepts(rule(&f, 2)->tokens[1].automaton, "x--y", true);
    check_accepts(rule(&f, 2)->tokens[1].automaton, "x", false);
    arena_free(f.arena);
}

static void test_equal_mixed_tokens_share(void **state)
{
    (void)state;
    struct fixture f = load("run -n#{a}\n"
                            "  a = [0-9]+\n"
                            "go -n#{b}\n"
                            "  b = \\d+\n"
                            "go -m#{b}\n"
                            "  b = \\d+\n");
    assert_ptr_equal(rule(&f, 0)->tokens[1].automaton, rule(&f, 1)->tokens[1].automaton);
    assert_ptr_not_equal(rule(&f, 0)->tokens[1].automaton, rule(&f, 2)->tokens[1].automaton);
    arena_free(f.arena);
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void test_leading_dash(void **state)
{
    (void)state;
    struct fixture f = load("run #x\n"
                            "  x = -?[a-z]+\n"
                            "run #x\n"
                            "  x = -?[a-z]+\n"
                            "  allow_dash = x\n");
    const struct model_slot *plain = &rule(&f, 0)->slots[0], *dashed = &rule(&f, 1)->slots[0];
    assert_false(plain->allow_dash);
    assert_true(dashed->allow_dash);
    assert_ptr_equal(plain->language, dashed->language);
    check_accepts(plain->language->automaton, "-a", true);
    check_accepts(plain->accepted, "-a", false);
    check_accepts(plain->accepted, "a", true);
    check_accepts(dashed->accepted, "-a", true);
    arena_free(f.arena);
}

static void test_lines_narrow(void **state)
{
    (void)state;
    struct fixture f = load("run #x\n"
                            "  x != .*\\.\\..*\n"
                            "  x = [a-z.]{2,5}\n"
                            "  x = a.*\n"
                            "run #y\n"
                            "  y = a.*\n"
                            "  y = [a-z.]{2,5}\n"
                            "  y = a.*\n"
                            "  y != .*\\.\\..*\n");
    const struct model_slot *x = &rule(&f, 0)->slots[0], *y = &rule(&f, 1)->slots[0];
    assert_ptr_equal(x->language, y->language);
    assert_int_equal(f.model->language_count, 1);
    assert_string_equal(x->language->first_name, "x");
    assert_int_equal(x->language->line_count, 3);
    assert_false(x->language->lines[0].excluded);
    assert_false(x->language->lines[1].excluded);
    assert_true(x->language->lines[2].excluded);
    assert_string_equal(x->description, "not .*\\.\\..* and [a-z.]{2,5} and a.*");
    check_accepts(x->accepted, "a.b", true);
    check_accepts(x->accepted, "a..b", false);
    check_accepts(x->accepted, "ba", false);
    check_accepts(x->accepted, "abcdef", false);
    arena_free(f.arena);
}

static void test_caps(void **state)
{
    (void)state;
    struct fixture f = load("run #x #y #z\n"
                            "  allow_any = x, y, z\n"
                            "  allow_max = x:65536, y:64K, z:1\n");
    assert_int_equal(rule(&f, 0)->slots[0].max_bytes, 65536);
    assert_int_equal(rule(&f, 0)->slots[1].max_bytes, 65536);
    assert_int_equal(rule(&f, 0)->slots[2].max_bytes, 1);
    arena_free(f.arena);
}

static void test_pcre2_engine(void **state)
{
    (void)state;
    struct fixture f = load("run #x #y #z\n"
                            "  x = (?!a).*\n"
                            "  y = [a-z]\n"
                            "  allow_any = z\n"
                            "  engine = pcre2 [x]\n"
                            "run #x #y #z\n"
                            "  x = (?!a).*\n"
                            "  y = [a-z]\n"
                            "  allow_any = z\n"
                            "  engine = pcre2\n");
    const struct model_rule *some = rule(&f, 0), *all = rule(&f, 1);
    assert_true(f.model->uses_pcre2);
    assert_true(some->slots[0].language->pcre2);
    assert_null(some->slots[0].language->automaton);
    assert_null(some->slots[0].accepted);
    assert_false(some->slots[1].language->pcre2);
    assert_ptr_equal(all->slots[0].language, some->slots[0].language);
    assert_true(all->slots[1].language->pcre2);
    assert_ptr_not_equal(all->slots[1].language, some->slots[1].language);
    assert_null(all->slots[2].language);
    arena_free(f.arena);
}

static void test_named_patterns(void **state)
{
    (void)state;
    struct fixture f = load("patterns:\n"
                            "  outer = x(?@inner)\n"
                            "run #x #y #z\n"
                            "  x = @outer\n"
                            "  y = (?@inner)+\n"
                            "  z = x[0-9]\n"
                            "patterns:\n"
                            "  inner = [0-9]\n");
    const struct model_rule *run = rule(&f, 0);
    check_accepts(run->slots[0].accepted, "x5", true);
    check_accepts(run->slots[0].accepted, "x", false);
    check_accepts(run->slots[1].accepted, "55", true);
    assert_ptr_equal(run->slots[0].language, run->slots[2].language);
    assert_string_equal(run->slots[0].description, "@outer");
    arena_free(f.arena);
}

static void test_under(void **state)
{
    (void)state;
    struct fixture f = load("patterns:\n"
                            "  work = @under(/srv/work)\n"
                            "  alias = @work\n"
                            "wc #a #b #c #d\n"
                            "  a = @under(/srv/work)\n"
                            "  b = @alias\n"
                            "  b != .*secret.*\n"
                            "  c = @relpath\n"
                            "  d = (?:@under\\(/srv\\))\n"
                            "  fs_read = #a, #b, #c\n");
    const struct model_rule *wc = rule(&f, 0);
    assert_string_equal(wc->slots[0].under, "/srv/work");
    assert_string_equal(wc->slots[1].under, "/srv/work");
    assert_null(wc->slots[2].under);
    assert_null(wc->slots[3].under);
    const struct model_confinement *confinement = wc->confinement;
    assert_int_equal(confinement->grant_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(confinement->grants[i].kind, GRANT_SLOT);
        assert_int_equal(confinement->grants[i].slot, i);
        check_path(&f, confinement->grants[i].path, i < 2 ? "/srv/work" : "none");
    }
    arena_free(f.arena);
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void test_attributes_initial(void **state)
{
    (void)state;
    struct fixture f = load("git status\n");
    const struct model_attributes *attributes = rule(&f, 0)->attributes;
    assert_int_equal(attributes->timeout_ms, 0);
    assert_null(attributes->cwd.pieces);
    assert_int_equal(attributes->environment_count, 0);
    assert_int_equal(attributes->log, LOG_FULL);
    assert_string_equal(attributes->exec_path, "/bin:/usr/bin:/sbin:/usr/sbin");
    assert_int_equal(attributes->max_output, 0);
    assert_int_equal(attributes->caller_environment_count, 0);
    assert_null(attributes->caller_cwd);
    assert_int_equal(attributes->refuse, 0);
    /* int, term, hup, quit, winch, cont */
    assert_int_equal(attributes->forward,
                     1u << 2 | 1u << 15 | 1u << 1 | 1u << 3 | 1u << 28 | 1u << 18);
    assert_int_equal(attributes->on_disconnect, DISCONNECT_CONTINUE);
    assert_int_equal(attributes->kill, KILL_GROUP);
    assert_int_equal(attributes->umask, 022);
    arena_free(f.arena);
}

static void test_attributes_inherit(void **state)
{
    (void)state;
    struct fixture f = load("defaults:\n"
                            "  timeout = 2m\n"
                            "  cwd = /srv\n"
                            "  env = LANG, TZ=UTC\n"
                            "  refuse = control\n"
                            "  stdoutfile = /log/#$call-#$ts_ms\n"
                            "  umask = 077\n"
                            "a\n"
                            "b\n"
                            "  timeout = none\n"
                            "  env = none\n"
                            "  stdoutfile = none\n"
                            "  exec_path = inherit\n"
                            "c\n"
                            "  env = HOME\n"
                            "  refuse = none\n"
                            "  timeout = 1500ms\n"
                            "d\n"
                            "  env = + LANG=C, X=\"a, b\", Y='', Z=a=b\n");
    const struct model_attributes *a = rule(&f, 0)->attributes, *b = rule(&f, 1)->attributes,
                                  *c = rule(&f, 2)->attributes, *d = rule(&f, 3)->attributes;
    assert_int_equal(a->timeout_ms, 120000);
    assert_int_equal(a->kill, KILL_TREE);
    assert_int_equal(a->umask, 077);
    assert_int_equal(a->refuse, REFUSE_CONTROL);
    check_path(&f, a->cwd, "/srv");
    check_path(&f, a->stdoutfile, "/log/#$call-#$ts_ms");
    assert_int_equal(a->environment_count, 2);
    assert_string_equal(a->environment[0].name, "LANG");
    assert_null(a->environment[0].value);
    assert_string_equal(a->environment[1].value, "UTC");
    assert_int_equal(b->timeout_ms, 0);
    assert_int_equal(b->kill, KILL_GROUP);
    assert_int_equal(b->environment_count, 0);
    assert_null(b->stdoutfile.pieces);
    assert_null(b->exec_path);
    check_path(&f, b->cwd, "/srv");
    assert_int_equal(c->environment_count, 1);
    assert_int_equal(c->refuse, 0);
    assert_int_equal(c->timeout_ms, 1500);
    assert_int_equal(d->environment_count, 5);
    assert_string_equal(d->environment[0].value, "C"); /* the rule's word counts */
    assert_string_equal(d->environment[1].value, "UTC");
    assert_string_equal(d->environment[2].value, "a, b");
    assert_string_equal(d->environment[3].value, "");
    assert_string_equal(d->environment[4].value, "a=b");
    arena_free(f.arena);
}

static void test_kill_as_written(void **state)
{
    (void)state;
    struct fixture f = load("a\n  kill = tree\n"
                            "b\n  timeout = 1s\n  kill = group\n"
                            "c\n  timeout = 1s\n  kill = tree-on-exit\n");
    assert_int_equal(rule(&f, 0)->attributes->kill, KILL_TREE);
    assert_int_equal(rule(&f, 1)->attributes->kill, KILL_GROUP);
    assert_int_equal(rule(&f, 2)->attributes->kill, KILL_TREE_ON_EXIT);
    arena_free(f.arena);
}

static void test_a_killed_tree_signals_only_its_own(void **state)
{
    (void)state;
    struct fixture f = load("a\n  timeout = 1s\n"
                            "b\n  timeout = 1s\n  signals = inherit\n"
                            "c\n  timeout = 1s\n  kill = group\n"
                            "d\n  kill = tree-on-exit\n  signals = own\n"
                            "e\n  timeout = 1s\n  new_privs = allow\n");
    static const bool own[] = {true, false, false, true, false};
    static const bool implied[] = {true, false, false, false, false};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(rule(&f, i)->confinement->signals_own, own[i]);
        assert_int_equal(rule(&f, i)->confinement->signals_implied, implied[i]);
    }
    arena_free(f.arena);
}

static void test_caller_values(void **state)
{
    (void)state;
    struct fixture f = load("defaults:\n"
                            "  env_from_caller = LANG, TZ\n"
                            "  env.LANG = [A-Za-z_.]+\n"
                            "  env.EXTRA = [0-9]+\n"
                            "  cwd_from_caller = @under(/srv)\n"
                            "a\n"
                            "b\n"
                            "  env_from_caller = + EXTRA\n"
                            "  env.LANG = C\n"
                            "  cwd_from_caller = none\n"
                            "c\n"
                            "  env_from_caller = none\n");
    const struct model_attributes *a = rule(&f, 0)->attributes, *b = rule(&f, 1)->attributes,
                                  *c = rule(&f, 2)->attributes;
    assert_int_equal(a->caller_environment_count, 2);
    assert_string_equal(a->caller_environment[0].name, "LANG");
    check_accepts(a->caller_environment[0].language->automaton, "de_DE.UTF-8", false);
    check_accepts(a->caller_environment[0].language->automaton, "de_DE", true);
    assert_null(a->caller_environment[1].language);
    assert_non_null(a->caller_cwd);
    assert_string_equal(a->caller_cwd->description, "@under(/srv)");
    check_accepts(a->caller_cwd->language->automaton, "/srv/x", true);
    assert_int_equal(b->caller_environment_count, 3);
    check_accepts(b->caller_environment[0].language->automaton, "de_DE", false);
    check_accepts(b->caller_environment[2].language->automaton, "5", true);
    assert_null(b->caller_cwd);
    assert_int_equal(c->caller_environment_count, 0);
    arena_free(f.arena);
}

static void test_equal_objects_are_one(void **state)
{
    (void)state;
    struct fixture f = load("defaults:\n"
                            "  timeout = 60s\n"
                            "git a #x\n"
                            "  x = [0-9]\n"
                            "git b #y\n"
                            "  y = \\d\n"
                            "  timeout = 1m\n"
                            "git c\n"
                            "  timeout = 61s\n"
                            "git d\n"
                            "  fs_read = /b, /a, /b\n"
                            "git e\n"
                            "  fs_read = /a, /b\n"
                            "  timeout = 60000ms\n");
    assert_ptr_equal(rule(&f, 0)->attributes, rule(&f, 1)->attributes);
    assert_ptr_not_equal(rule(&f, 0)->attributes, rule(&f, 2)->attributes);
    assert_ptr_equal(rule(&f, 0)->attributes, rule(&f, 4)->attributes);
    assert_ptr_equal(rule(&f, 0)->slots[0].language, rule(&f, 1)->slots[0].language);
    assert_ptr_equal(rule(&f, 0)->confinement, rule(&f, 2)->confinement);
    assert_ptr_equal(rule(&f, 3)->confinement, rule(&f, 4)->confinement);
    assert_int_equal(f.model->attributes_count, 2);
    assert_int_equal(f.model->confinement_count, 2);
    assert_int_equal(f.model->language_count, 1);
    assert_int_equal(f.model->filter_count, 2); /* reading alone refuses metadata changes */
    assert_ptr_equal(f.model->confinements[0], rule(&f, 0)->confinement);
    assert_ptr_equal(f.model->confinements[1], rule(&f, 3)->confinement);
    assert_string_equal(f.model->confinements[0]->name, "git_a");
    assert_string_equal(f.model->confinements[1]->name, "git_d");
    arena_free(f.arena);
}

static void test_confinement_names(void **state)
{
    (void)state;
    struct fixture f = load("git push origin\n  nice = 1\n"
                            "git push #x\n  nice = 2\n  allow_any = x\n"
                            "/usr/bin/git --all\n  nice = 3\n"
                            "git #x\n  nice = 4\n  allow_any = x\n");
    assert_string_equal(rule(&f, 0)->confinement->name, "git_push");
    assert_string_equal(rule(&f, 1)->confinement->name, "git_push_2");
    assert_string_equal(rule(&f, 2)->confinement->name, "git");
    assert_string_equal(rule(&f, 3)->confinement->name, "git_2");
    arena_free(f.arena);
}

/* ---- confinement ----------------------------------------------------------------------------- */

static void test_confinement_initial(void **state)
{
    (void)state;
    struct fixture f = load("git status\n");
    const struct model_confinement *confinement = rule(&f, 0)->confinement;
    assert_non_null(confinement->filter);
    assert_int_equal(confinement->filter->base, SYSCALLS_DEFAULT);
    assert_int_equal(confinement->filter->change_count, 0);
    assert_false(confinement->confines_files);
    assert_int_equal(confinement->metadata, METADATA_ALLOW);
    assert_false(confinement->net_none || confinement->net_ports || confinement->unix_none);
    assert_false(confinement->new_privs);
    assert_int_equal(confinement->limits.memory, LIMIT_UNSET);
    assert_int_equal(confinement->limits.core, LIMIT_UNSET);
    assert_int_equal(confinement->nice, 0);
    arena_free(f.arena);
}

static void test_metadata(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum policy_metadata expected;
    } cases[] = {
        {"a\n  fs_read = /x\n", METADATA_DENY},
        {"a\n  fs_exec = /x\n", METADATA_DENY},
        {"a\n  fs_write = /x\n", METADATA_WITHIN},
        {"a\n  fs_read = /x\n  fs_write = /y\n", METADATA_WITHIN},
        {"a\n  fs_write = none\n", METADATA_DENY},
        {"a\n  fs_read = /x\n  metadata = allow\n", METADATA_ALLOW},
        {"a\n  fs_read = /x\n  metadata = within\n", METADATA_DENY},
        {"a\n  fs_write = /x\n  metadata = deny\n", METADATA_DENY},
        {"a\n  metadata = deny\n", METADATA_DENY},
        {"defaults:\n  fs_write = /x\na\n  fs_write = inherit\n", METADATA_ALLOW},
        {"defaults:\n  fs_write = /x\n  fs_read = /y\na\n  fs_write = inherit\n", METADATA_DENY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f = load(cases[i].text);
        assert_int_equal(rule(&f, 0)->confinement->metadata, cases[i].expected);
        arena_free(f.arena);
    }
}

static void test_grants(void **state)
{
    (void)state;
    struct fixture f = load("defaults:\n"
                            "  fs_read = @system, ?/opt/x\n"
                            "a\n"
                            "b\n"
                            "  fs_read = +$HOME/work, '/a b', \"/c, d\"\n"
                            "  fs_exec = @dev\n"
                            "  fs_deny = /opt/x/secret\n"
                            "  protect = @git-hooks, @dotfiles\n"
                            "c\n"
                            "  fs_read = none\n"
                            "d\n"
                            "  fs_read = inherit\n");
    const struct model_confinement *a = rule(&f, 0)->confinement, *b = rule(&f, 1)->confinement,
                                   *c = rule(&f, 2)->confinement, *d = rule(&f, 3)->confinement;
    assert_int_equal(a->grant_count, 2);
    assert_int_equal(a->grants[0].kind, GRANT_PATH);
    assert_true(a->grants[0].optional);
    check_path(&f, a->grants[0].path, "/opt/x");
    assert_int_equal(a->grants[1].set, SET_SYSTEM);
    assert_int_equal(b->grant_count, 6);
    assert_int_equal(b->grants[5].access, ACCESS_EXECUTE);
    assert_int_equal(b->grants[5].set, SET_DEV);
    check_path(&f, b->grants[0].path, "/a b");
    check_path(&f, b->grants[1].path, "/c, d");
    check_path(&f, b->grants[3].path, "$HOME/work");
    assert_int_equal(b->deny_count, 1);
    assert_int_equal(b->protect, PROTECT_DOTFILES | PROTECT_GIT_HOOKS);
    assert_true(c->confines_files);
    assert_int_equal(c->grant_count, 0);
    assert_false(d->confines_files);
    arena_free(f.arena);
}

static void test_network(void **state)
{
    (void)state;
    struct fixture f = load("a\n  net = connect:8443,443 443 bind:8080,0\n"
                            "b\n  net = none\n"
                            "c\n  net = connect:443, 80\n  unix = none\n  signals = own\n");
    const struct model_confinement *a = rule(&f, 0)->confinement, *b = rule(&f, 1)->confinement,
                                   *c = rule(&f, 2)->confinement;
    assert_true(a->net_ports);
    assert_int_equal(a->connect_count, 2);
    assert_int_equal(a->connect_ports[0], 443);
    assert_int_equal(a->connect_ports[1], 8443);
    assert_int_equal(a->bind_count, 2);
    assert_int_equal(a->bind_ports[0], 0);
    assert_true(a->filter->net_ports);
    assert_true(b->net_none);
    assert_false(b->net_ports);
    assert_int_equal(c->connect_count, 2);
    assert_true(c->unix_none && c->filter->unix_none && c->signals_own);
    arena_free(f.arena);
}

static void test_syscalls(void **state)
{
    (void)state;
    struct fixture f = load("defaults:\n"
                            "  syscalls = strict +ptrace -kill\n"
                            "a\n"
                            "b\n  syscalls = -ptrace +bpf, +fchmodat2\n"
                            "c\n  syscalls = inherit\n"
                            "d\n  syscalls = default\n"
                            "e\n  syscalls = inherit -bpf\n");
    const struct model_filter *a = rule(&f, 0)->confinement->filter,
                              *b = rule(&f, 1)->confinement->filter;
    assert_int_equal(a->base, SYSCALLS_STRICT);
    assert_int_equal(a->change_count, 2);
    assert_string_equal(a->changes[0].name, "kill");
    assert_false(a->changes[0].add);
    assert_int_equal(b->base, SYSCALLS_STRICT);
    assert_int_equal(b->change_count, 4);
    assert_string_equal(b->changes[0].name, "bpf");
    assert_string_equal(b->changes[1].name, "fchmodat2");
    assert_string_equal(b->changes[3].name, "ptrace");
    assert_false(b->changes[3].add); /* the rule's word counts */
    assert_null(rule(&f, 2)->confinement->filter);
    assert_int_equal(rule(&f, 3)->confinement->filter->base, SYSCALLS_DEFAULT);
    assert_int_equal(rule(&f, 3)->confinement->filter->change_count, 0);
    assert_int_equal(rule(&f, 4)->confinement->filter->change_count, 1);
    arena_free(f.arena);
}

static void test_new_privileges(void **state)
{
    (void)state;
    struct fixture f = load("sudo -n true\n"
                            "  new_privs = allow\n"
                            "  memory = 512M\n"
                            "  isolate = pid, user\n");
    const struct model_confinement *sudo = rule(&f, 0)->confinement;
    assert_true(sudo->new_privs);
    assert_null(sudo->filter);
    assert_int_equal(f.model->filter_count, 0);
    assert_int_equal(sudo->limits.memory, 512u << 20);
    assert_int_equal(sudo->isolate, ISOLATE_PID | ISOLATE_USER);
    arena_free(f.arena);
}

static void test_limits(void **state)
{
    (void)state;
    struct fixture f = load("a\n  memory = 1G\n  cpu_time = 2m\n  open_files = 64\n"
                            "  file_size = 0\n  processes = 7\n  core = 0\n  nice = -5\n"
                            "  isolate = user\n");
    const struct model_confinement *a = rule(&f, 0)->confinement;
    assert_int_equal(a->limits.memory, 1u << 30);
    assert_int_equal(a->limits.cpu_time, 120);
    assert_int_equal(a->limits.open_files, 64);
    assert_int_equal(a->limits.file_size, 0);
    assert_int_equal(a->limits.processes, 7);
    assert_int_equal(a->limits.core, 0);
    assert_int_equal(a->nice, -5);
    assert_true(a->filter->own_namespaces);
    arena_free(f.arena);
}

/* ---- descriptions ---------------------------------------------------------------------------- */

static const char *described(const struct descriptions *all, const char *key)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->items[i].key, key) == 0)
            return all->items[i].initial ? "initial" : all->items[i].value;
    fail_msg("%s is not described", key);
    return NULL;
}

static void test_descriptions(void **state)
{
    (void)state;
    struct fixture f = load("git #f\n"
                            "  f = x\n"
                            "  timeout = 90s\n"
                            "  env = A, B=c\n"
                            "  env_from_caller = LANG\n"
                            "  env.LANG = C\n"
                            "  forward = int, usr1\n"
                            "  max_output = 10K\n"
                            "  fs_read = @tmp, #f, ?/x\n"
                            "  net = connect:443 bind:80\n"
                            "  memory = 512M\n"
                            "  cpu_time = 60\n"
                            "  syscalls = default -bpf\n"
                            "  nice = -3\n");
    struct descriptions call = describe_attributes(f.arena, rule(&f, 0)->attributes);
    struct descriptions confinement = describe_confinement(f.arena, rule(&f, 0));
    assert_string_equal(described(&call, "timeout"), "90s");
    assert_string_equal(described(&call, "kill"), "initial");
    assert_string_equal(described(&call, "env"), "A, B=c");
    assert_string_equal(described(&call, "env.LANG"), "C");
    assert_string_equal(described(&call, "forward"), "int, usr1");
    assert_string_equal(described(&call, "max_output"), "10K");
    assert_string_equal(described(&call, "cwd"), "initial");
    assert_string_equal(described(&confinement, "fs_read"), "?/x, #f, @tmp");
    assert_string_equal(described(&confinement, "fs_write"), "initial");
    assert_string_equal(described(&confinement, "metadata"), "initial");
    assert_string_equal(described(&confinement, "net"), "connect:443 bind:80");
    assert_string_equal(described(&confinement, "memory"), "512M");
    assert_string_equal(described(&confinement, "cpu_time"), "1m");
    assert_string_equal(described(&confinement, "syscalls"), "default -bpf");
    assert_string_equal(described(&confinement, "nice"), "-3");
    assert_string_equal(described(&confinement, "core"), "initial");
    arena_free(f.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broker_initial),
        cmocka_unit_test(test_broker_settings),
        cmocka_unit_test(test_names_of_the_file),
        cmocka_unit_test(test_rule_line),
        cmocka_unit_test(test_home_literals),
        cmocka_unit_test(test_mixed_tokens),
        cmocka_unit_test(test_equal_mixed_tokens_share),
        cmocka_unit_test(test_leading_dash),
        cmocka_unit_test(test_lines_narrow),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_pcre2_engine),
        cmocka_unit_test(test_named_patterns),
        cmocka_unit_test(test_under),
        cmocka_unit_test(test_attributes_initial),
        cmocka_unit_test(test_attributes_inherit),
        cmocka_unit_test(test_kill_as_written),
        cmocka_unit_test(test_a_killed_tree_signals_only_its_own),
        cmocka_unit_test(test_caller_values),
        cmocka_unit_test(test_equal_objects_are_one),
        cmocka_unit_test(test_confinement_names),
        cmocka_unit_test(test_confinement_initial),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_syscalls),
        cmocka_unit_test(test_new_privileges),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_descriptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
