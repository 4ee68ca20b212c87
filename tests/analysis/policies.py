"""Random small policies, and what they mean by brute force: an oracle that shares no code with the
compiler. Values are words over a few letters; patterns are plain regular expressions that Python's
own `re` reads the same way."""

import itertools
import random
import re

LETTERS = "ab-"
WORDS = [""] + ["".join(w) for n in (1, 2) for w in itertools.product(LETTERS, repeat=n)]
PROGRAMS = ["x", "y"]


def random_pattern(rng, depth=2):
    kind = rng.randrange(6 if depth else 2)
    if kind == 0:
        return rng.choice(["a", "b", "-", "[ab]", "[a-b-]", "."])
    if kind == 1:
        return rng.choice(["a", "b", "ab", "ba", "a?", "b*", "[ab]{1,2}"])
    inner = random_pattern(rng, depth - 1)
    other = random_pattern(rng, depth - 1)
    if kind == 2:
        return f"({inner})({other})"
    if kind == 3:
        return f"({inner}|{other})"
    if kind == 4:
        return f"({inner})" + rng.choice(["*", "+", "?", "{0,2}", "{2}"])
    return f"({inner}){rng.choice('ab')}"


class Slot:
    def __init__(self, name, include, exclude, dash):
        self.name, self.include, self.exclude, self.dash = name, include, exclude, dash

    def accepts(self, value):
        if value.startswith("-") and not self.dash:
            return False
        return all(re.fullmatch(p, value) for p in self.include) and not any(
            re.fullmatch(p, value) for p in self.exclude
        )


class Rule:
    """A program and tokens: a str, a Slot, or (Slot, low, high) for `...`."""

    def __init__(self, program, tokens, timeout):
        self.program, self.tokens, self.timeout = program, tokens, timeout

    def accepts(self, argv):
        return argv[0] == self.program and self._rest(0, argv[1:])

    def _rest(self, at, values):
        if at == len(self.tokens):
            return not values
        token = self.tokens[at]
        if isinstance(token, tuple):
            slot, low, high = token
            for used in range(0, min(high, len(values)) + 1):
                if used >= low and self._rest(at + 1, values[used:]):
                    return True
                if used < len(values) and not slot.accepts(values[used]):
                    return False
            return False
        if not values:
            return False
        good = values[0] == token if isinstance(token, str) else token.accepts(values[0])
        return good and self._rest(at + 1, values[1:])

    def text(self):
        words, lines = [self.program], []
        for token in self.tokens:
            if isinstance(token, str):
                words.append(token if token else "''")
                continue
            slot = token[0] if isinstance(token, tuple) else token
            rest = f"...{{{token[1]},{token[2]}}}" if isinstance(token, tuple) else ""
            words.append(f"#{slot.name}{rest}")
            lines += [f"  {slot.name} = {p}" for p in slot.include]
            lines += [f"  {slot.name} != {p}" for p in slot.exclude]
            if slot.dash:
                lines.append(f"  allow_dash = {slot.name}")
        dashes = [l.split("= ")[1] for l in lines if l.startswith("  allow_dash")]
        lines = [l for l in lines if not l.startswith("  allow_dash")]
        if dashes:
            lines.append("  allow_dash = " + ", ".join(dashes))
        if self.timeout:
            lines.append(f"  timeout = {self.timeout}s")
        return "\n".join([" ".join(words)] + lines) + "\n"


def random_slot(rng, name):
    """A slot whose language is not empty, as the compiler demands."""
    while True:
        slot = Slot(
            name,
            [random_pattern(rng) for _ in range(rng.choice([1, 1, 2]))],
            [random_pattern(rng, 1)] if rng.random() < 0.3 else [],
            rng.random() < 0.4,
        )
        if any(slot.accepts(word) for word in WORDS):
            return slot


def random_rule(rng):
    tokens, rest = [], False
    for n in range(rng.randrange(4)):
        kind = rng.random()
        if kind < 0.4:
            tokens.append(rng.choice(["a", "b", "ab", "-a", "aa"]))
        elif kind < 0.85 or rest:
            tokens.append(random_slot(rng, f"s{n}"))
        else:
            rest = True
            low = rng.randrange(3)
            tokens.append((random_slot(rng, f"s{n}"), low, rng.randrange(max(low, 1), 4)))
    return Rule(rng.choice(PROGRAMS), tokens, rng.choice([0, 0, 1, 2]))


def random_policy(rng, rules):
    return [random_rule(rng) for _ in range(rng.randrange(1, rules + 1))]


def mutated(rng, policy):
    """A policy near another: what a review sees."""
    rules = list(policy)
    for _ in range(rng.randrange(1, 3)):
        kind = rng.randrange(4)
        if kind == 0 and len(rules) > 1:
            rules.pop(rng.randrange(len(rules)))
        elif kind == 1:
            rules.insert(rng.randrange(len(rules) + 1), random_rule(rng))
        elif kind == 2:
            rng.shuffle(rules)
        else:
            at = rng.randrange(len(rules))
            rules[at] = Rule(rules[at].program, rules[at].tokens, rng.choice([0, 1, 2]))
    return rules


def text_of(policy):
    return "\n".join(rule.text() for rule in policy)


def decide(policy, argv):
    """The place of the rule that takes a command line, or None."""
    for at, rule in enumerate(policy):
        if rule.accepts(argv):
            return at
    return None


def command_lines():
    """Every command line of at most three arguments over the small alphabet."""
    for program in PROGRAMS:
        for count in range(4):
            words = WORDS if count < 3 else WORDS[:7]
            for values in itertools.product(words, repeat=count):
                yield [program, *values]


def generator(seed):
    return random.Random(seed)
